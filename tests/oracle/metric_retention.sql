with weeks as (
    select unnest(generate_series(0, if(d() = (select first_day from as_of), 7, 0)))::integer as back,
           (d() - (isodow(d()) % 7)::integer)::date as sunday
), told as (
    select (sunday - 6 - 7 * back)::date as week from weeks
    where d() = (select first_day from as_of) or sunday = d()
), cohorts as (
    select merchant_id, user_key, (first_active - isodow(first_active)::integer + 1)::date as cohort_week
    from people where first_active is not null
), members as (
    select c.merchant_id, c.cohort_week, (w.week - c.cohort_week) // 7 as age, exists (
               from active_days a where a.merchant_id = c.merchant_id and a.user_key = c.user_key
                                    and a.day between w.week and w.week + 6) as came
    from cohorts c cross join told w where w.week >= c.cohort_week
)
select merchant_id, cohort_week, age, count(*) as cohort_users, count(*) filter (came) as users
from members group by all
