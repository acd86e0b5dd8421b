-- Merchants that have a row on the day, with the industry in force.
with begun as (
    select merchant_id, max_by(industry, valid_from) as industry,
           bool_or(valid_to is null or valid_to >= d()) as valid
    from core_merchants where valid_from <= d() and taken_on <= d() group by all
), met as (
    select merchant_id from payments union select merchant_id from mini union select merchant_id from life
    union select merchant_id from vouchers union select merchant_id from traffic
)
select merchant_id, industry from begun full join met using (merchant_id)
where valid or merchant_id in (from met)
