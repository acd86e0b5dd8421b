"""What a user would otherwise do for a day's metrics: recompute them from the events of the whole history.

Both peers compute far less than the product (users by window, growth, payers and sales of each merchant) and read
Parquet with only the columns that they need, sorted by date, zstd, on two threads.
"""

import time
from pathlib import Path

import duckdb
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.day_history import DAY, Size

_HISTORY = """
SELECT 'm' || CAST(floor({merchants} * power((hash(p, 'm') >> 11) / 9007199254740992.0, 3)) AS INTEGER) AS merchant_id,
       'k1_' || md5(CAST(p AS VARCHAR)) || md5('u' || p) AS user_key, DATE '{day}' - back AS business_date,
       list_extract(['launch', 'page_view', 'item_view', 'paid', 'message_delivered', 'order_submit', 'launch', 'view'],
                    1 + n % 8) AS event_type,
       CASE WHEN n % 8 = 3 THEN 2100 ELSE 0 END AS amount_fen
FROM (SELECT n, back, CAST(floor((hash(n // 4, back) >> 11) / 9007199254740992.0 * {pairs}) AS BIGINT) AS p
      FROM (SELECT CAST(unnest(range({back_from}, {back_to})) AS INTEGER) AS back), range({rows}) r(n))
"""

_RECOMPUTE = """
WITH days AS (
    SELECT merchant_id, user_key, business_date, bool_or(event_type = 'paid') AS paid, sum(amount_fen) AS amount_fen,
           bool_or(event_type <> 'message_delivered') AS active
    FROM events GROUP BY ALL
), pairs AS (
    SELECT merchant_id, user_key, min(business_date) FILTER (active) AS first_day,
           count(*) FILTER (active AND business_date > DATE '{day}' - 28) AS days_28,
           count(*) FILTER (active AND business_date BETWEEN DATE '{day}' - 55 AND DATE '{day}' - 28) AS days_before,
           count(*) FILTER (paid AND business_date > DATE '{day}' - 28) AS paid_28,
           count(*) FILTER (paid AND business_date > DATE '{day}' - 90) AS paid_90,
           sum(amount_fen) FILTER (business_date > DATE '{day}' - 28) AS gmv
    FROM days GROUP BY ALL
)
SELECT merchant_id, count(*) FILTER (days_28 > 0) AS c_mau28,
       count(*) FILTER (first_day > DATE '{day}' - 28) AS c_new_users,
       count(*) FILTER (days_28 > 0 AND days_before > 0) AS retained, sum(days_28) AS active_days,
       count(*) FILTER (paid_28 > 0) AS r_payers, count(*) FILTER (paid_90 > 1) AS repeat_90, sum(gmv) AS r_gmv
FROM pairs GROUP BY merchant_id
"""


def write_history(folder: Path, size: Size) -> Path:
    """Events of the history and of DAY, one file for each ten days, in order of date."""
    folder.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        for number, start in enumerate(range(0, size.days + 1, 10)):
            end = min(start + 10, size.days + 1)
            spans = [(start, end, size.daily)] if start else [(0, 1, size.events), (1, end, size.daily)]
            queries = [
                _HISTORY.format(
                    merchants=size.merchants, pairs=size.pairs, day=DAY, back_from=a, back_to=b, rows=rows
                )
                for a, b, rows in spans
            ]
            con.execute(
                f"COPY ({' UNION ALL '.join(queries)} ORDER BY business_date) TO '{folder}/{number:03}.parquet' "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
    return folder


def duckdb_seconds(folder: Path) -> tuple[float, int]:
    """Seconds and merchants of the recompute in DuckDB."""
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        con.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{folder}/*.parquet')")
        started = time.monotonic()
        merchants = len(con.execute(_RECOMPUTE.format(day=DAY)).fetchall())
        return time.monotonic() - started, merchants


def spark_seconds(spark: SparkSession, folder: Path) -> tuple[float, int]:
    """Seconds and merchants of the recompute in PySpark, adaptive execution and generated code on."""
    before = {
        name: spark.conf.get(name) for name in ("spark.sql.adaptive.enabled", "spark.sql.shuffle.partitions")
    }
    spark.conf.set("spark.sql.adaptive.enabled", "true")
    spark.conf.set("spark.sql.shuffle.partitions", "8")
    try:
        started = time.monotonic()
        merchants = len(_recomputed(spark.read.parquet(str(folder))).collect())
        return time.monotonic() - started, merchants
    finally:
        for name, value in before.items():
            spark.conf.set(name, str(value))


def _recomputed(events: DataFrame) -> DataFrame:
    def since(days: int) -> Column:
        return F.col("business_date") > F.date_sub(F.lit(DAY), days)

    pair, active = ("merchant_id", "user_key"), F.col("active")
    days = events.groupBy(*pair, "business_date").agg(
        F.bool_or(F.col("event_type") == "paid").alias("paid"),
        F.sum("amount_fen").alias("amount_fen"),
        F.bool_or(F.col("event_type") != "message_delivered").alias("active"),
    )
    pairs = days.groupBy(*pair).agg(
        F.min(F.when(active, F.col("business_date"))).alias("first_day"),
        F.count_if(active & since(28)).alias("days_28"),
        F.count_if(active & ~since(28) & since(56)).alias("days_before"),
        F.count_if(F.col("paid") & since(28)).alias("paid_28"),
        F.count_if(F.col("paid") & since(90)).alias("paid_90"),
        F.sum(F.when(since(28), F.col("amount_fen"))).alias("gmv"),
    )
    return pairs.groupBy("merchant_id").agg(
        F.count_if(F.col("days_28") > 0).alias("c_mau28"),
        F.count_if(F.col("first_day") > F.date_sub(F.lit(DAY), 28)).alias("c_new_users"),
        F.count_if((F.col("days_28") > 0) & (F.col("days_before") > 0)).alias("retained"),
        F.sum("days_28").alias("active_days"),
        F.count_if(F.col("paid_28") > 0).alias("r_payers"),
        F.count_if(F.col("paid_90") > 1).alias("repeat_90"),
        F.sum("gmv").alias("r_gmv"),
    )
