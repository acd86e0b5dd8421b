-- Question: Of the users first active in a week, how many come back in the weeks after?
-- Grain: one row for each cohort week and age in weeks
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   weeks INTEGER = 12: how many of the latest cohorts
-- Run: ccare sql cohort_retention --param merchant_id=m1 --param weeks=8
-- Plot: heat x=age y=cohort_week by=retention
--
-- Users are told merchant by merchant: one who is new at two merchants counts twice over the platform.
-- A cohort's age is told by the close of that week's Sunday, so the latest cohorts have few ages yet.
with told as (
    from metric_retention
    where $merchant_id::varchar is null or merchant_id = $merchant_id::varchar
), cohorts as (
    select distinct cohort_week from told order by cohort_week desc limit $weeks::integer
)
select cohort_week, age, sum(cohort_users)::bigint as cohort_users, sum(users)::bigint as users,
    round(sum(users) / nullif(sum(cohort_users), 0), 4) as retention
from told semi join cohorts using (cohort_week)
group by cohort_week, age
order by cohort_week, age
