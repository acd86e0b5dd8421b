"""Who may earn in a programme on a date: each way of asking gives the name of the refusal, null where it is met."""

from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger.frames import beside, by_merchant
from ccare.ledger.touched import Inputs

if TYPE_CHECKING:
    from ccare.ledger.policy import LedgerPolicy
    from ccare.ledger.programmes import Programme
    from ccare.runtime.close import Close

_RECORD = "struct<first:date,last:date,mini:boolean,industry:string,own_brand:boolean>"
_ENROLMENT = "struct<programme:string,first:date,last:date,place:int,industry_place:int>"


def with_refusal(rows: DataFrame, inputs: Inputs, close: "Close") -> DataFrame:
    """``rows`` (version: index among the policy's programmes, merchant_id, effective_date, refusal) with every refusal.

    Nothing is read where every programme is for everyone.
    """
    programmes = close.ledger.programmes
    if all(p.asks == "everyone" for p in programmes):
        return rows
    refusal = F.lit(None).cast("string")
    for version, programme in enumerate(programmes):
        if programme.asks != "everyone":
            refusal = F.when(F.col("version") == version, _refusal(programme)).otherwise(refusal)
    known = rows.join(beside(_known(inputs, close.ledger)), "merchant_id", "left")
    return known.withColumn("refusal", F.coalesce(refusal, "refusal")).drop("records", "enrolments")


def _refusal(programme: "Programme") -> Column:
    day = F.col("effective_date")

    def in_force(x: Column) -> Column:
        return (x["first"].isNull() | (x["first"] <= day)) & (x["last"].isNull() | (x["last"] >= day))

    records = F.filter(F.coalesce(F.col("records"), F.array().cast(f"array<{_RECORD}>")), in_force)
    if programme.asks == "mini_program":
        return F.when(~F.exists(records, lambda x: x["mini"]), "no_mini_program")
    if programme.asks == "trade":
        named = F.exists(
            records, lambda x: F.coalesce(x["industry"].isin(*programme.industries), F.lit(False))
        )
        own = F.exists(records, lambda x: F.coalesce(x["own_brand"], F.lit(False)))
        admitted = (named | own) if programme.own_brand else named
        return F.when(~admitted, "industry_not_admitted")
    enrolments = F.coalesce(F.col("enrolments"), F.array().cast(f"array<{_ENROLMENT}>"))
    mine = F.filter(enrolments, lambda x: (x["programme"] == programme.name) & in_force(x))
    place = F.get(mine, F.lit(0))
    found = F.when(F.size(mine) == 0, "not_enrolled")
    if programme.most_merchants:
        found = found.when(place["place"] > programme.most_merchants, "merchants_full")
    if programme.most_industries:
        found = found.when(place["industry_place"] > programme.most_industries, "industries_full")
    return found


def _known(inputs: Inputs, policy: "LedgerPolicy") -> DataFrame:
    """Grain: merchant. Its records and its enrolments, each as an array: one join instead of one for each question."""
    merchants = inputs["core_merchants"]
    record = F.struct(
        F.col("valid_from").alias("first"),
        F.col("valid_to").alias("last"),
        F.col("mini_program_id").isNotNull().alias("mini"),
        "industry",
        "own_brand",
    )
    rows = merchants.select("merchant_id", record.cast(_RECORD).alias("record"))
    asked = [p for p in policy.programmes if p.asks == "enrolled"]
    if asked:
        enrolled = inputs["core_enrolments"].filter(F.col("programme").isin(*{p.name for p in asked}))
        limited = any(p.is_limited for p in asked)
        placed = _placed(enrolled, merchants) if limited else enrolled
        none = F.lit(None).cast("int")
        places = [F.col(n) if limited else none.alias(n) for n in ("place", "industry_place")]
        told = F.struct("programme", F.col("from").alias("first"), F.col("to").alias("last"), *places)
        of_party = placed.select(
            F.col("party").alias("merchant_id"), told.cast(_ENROLMENT).alias("enrolment")
        )
        rows = rows.unionByName(of_party, allowMissingColumns=True)
    listed = [F.collect_list("record").alias("records")]
    if asked:
        listed.append(F.collect_list("enrolment").alias("enrolments"))
    return by_merchant(rows).groupBy("merchant_id").agg(*listed)


def _placed(enrolled: DataFrame, merchants: DataFrame) -> DataFrame:
    """Enrolments with the merchant's place in the programme, and its industry's, in the order of taking.

    Whoever is taken later never takes a place away from one taken before.
    """
    mine = Window.partitionBy("programme", "party")
    first = F.min(F.struct("taken_on", "from", "party")).over(mine)
    holds = (F.col("valid_from") <= F.col("from")) & (
        F.col("valid_to").isNull() | (F.col("valid_to") >= F.col("from"))
    )
    trades = merchants.select(F.col("merchant_id").alias("party"), "valid_from", "valid_to", "industry")
    rows = enrolled.withColumn("first", first).join(trades, "party", "left")
    at_first = F.max(F.when(holds, F.col("industry"))).over(mine)
    rows = rows.withColumn("trade", F.coalesce(at_first, F.lit("")))
    rows = rows.withColumn("trade_first", F.min("first").over(Window.partitionBy("programme", "trade")))
    programme = Window.partitionBy("programme")
    placed = {
        "place": F.dense_rank().over(programme.orderBy("first")),
        "industry_place": F.dense_rank().over(programme.orderBy("trade_first")),
    }
    return rows.withColumns(placed).select("programme", "party", "from", "to", *placed).distinct()
