-- Net spend in W28 of users first paid by d-28, and what the model in force then expected of them: the closed forms of
-- Fader, Hardie, Lee 2005 (equation 10, its 2F1 as a series) and of Fader, Hardie 2013 (the conditional mean).
with model as (
    from score_potentials
    where as_of_date = (select max(as_of_date) from score_potentials where as_of_date <= d() - 28)
), mine as (
    from payments p where user_key is not null
        and not exists (from staff s where s.merchant_id = p.merchant_id and s.user_key = p.user_key)
), back as (
    select merchant_id, trade_no, sum(amount_fen) as fen from payments
    where event_type = 'refunded' and business_date <= d() - 28 group by all
), bought as (
    select m.merchant_id, m.user_key, m.business_date as day, sum(m.amount_fen - coalesce(b.fen, 0)) as net
    from mine m left join back b using (merchant_id, trade_no)
    where m.event_type = 'paid' and m.business_date <= d() - 28 group by all
), firsts as (
    select merchant_id, user_key, min(day) as first_day, max(day) as last_day, count(*) - 1 as x
    from bought group by all
), users as (
    select f.*, last_day - first_day as tx, (d() - 28) - first_day as age,
           count(b.day) as days, coalesce(sum(b.net), 0) as spent
    from firsts f left join bought b
      on b.merchant_id = f.merchant_id and b.user_key = f.user_key and b.day > f.first_day and b.net > 0
    group by all
), lived as (
    select u.*, m.*, r + x as aa, b + x as bb, a + b + x - 1 as cc, 28 / (alpha_days + age + 28) as z
    from users u join model m using (merchant_id)
), expected as (
    select merchant_id, user_key, calibration,
           cc / (a - 1) * (1 - pow((alpha_days + age) / (alpha_days + age + 28), aa) * list_sum(list_transform(
               range(600), lambda k: exp(lgamma(aa + k) - lgamma(aa) + lgamma(bb + k) - lgamma(bb)
                                         - lgamma(cc + k) + lgamma(cc) - lgamma(k + 1) + k * ln(z)))))
           / (1 + if(x > 0, a / (bb - 1) * pow((alpha_days + age) / (alpha_days + tx), aa), 0)) as orders,
           spend_p * (spend_v + spent) / (spend_p * days + spend_q - 1) as a_day
    from lived
), came as (
    select merchant_id, sum(if(event_type = 'paid', amount_fen, -amount_fen))::bigint as fen
    from mine join firsts using (merchant_id, user_key)
    where business_date > d() - 28 and event_type in ('paid', 'refunded') group by all
), told as (
    select merchant_id, round(any_value(calibration) * coalesce(sum(orders * a_day), 0))::bigint as den, count(*) as users
    from expected group by all
)
select merchant_id, coalesce(fen, 0), den, users from told left join came using (merchant_id) where den > 0
