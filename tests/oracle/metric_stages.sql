select m.merchant_id, s.stage, count(p.user_key) as users
from (select distinct merchant_id from people) m
cross join (values ('reached'), ('visited'), ('paid'), ('repeat'), ('loyal'), ('at_risk'), ('dormant')) s(stage)
left join people p on p.merchant_id = m.merchant_id and s.stage = case
    when p.first_active is null then 'reached'
    when p.days_28 = 0 and p.days_before > 0 then 'at_risk'
    when p.days_28 = 0 then 'dormant'
    when p.paid_days_90 >= 3 then 'loyal'
    when p.paid_days >= 2 then 'repeat'
    when p.paid_days = 1 then 'paid'
    else 'visited' end
group by all
