"""Load the classes that a day uses, for the class archive: ``python -m ccare.setup.warm_up FOLDER``."""

import sys
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import functions as F

from ccare.runtime.settings import Settings
from ccare.runtime.spark import session


def warm_up(folder: Path) -> None:
    """Write, append, merge and read one small Delta table below ``folder``; wait for the JVM to end."""
    settings = Settings.load({"CCARE_LAKE": str(folder / "lake"), "CCARE_SPARK_MASTER": "local[2]"})
    spark = session(settings)
    gateway = SparkContext._gateway
    lines = folder / "lines.jsonl"
    lines.write_text('{"user":"a","amount":1,"day":"2017-01-01"}\n' * 100, "utf-8")
    raw = spark.read.text(str(lines)).select(
        F.from_json("value", "user string, amount bigint, day string").alias("event")
    )
    events = raw.select("event.*").withColumn("day", F.to_date("day"))
    path = str(folder / "events")
    events.write.format("delta").partitionBy("day").save(path)
    per_user = events.groupBy("user", "day").agg(F.sum("amount").alias("amount"), F.count("*").alias("n"))
    per_user.select("user", "amount", "day").write.format("delta").mode("append").save(path)
    from delta.tables import DeltaTable

    table = DeltaTable.forPath(spark, path)
    same = "t.user = s.user and t.day = s.day and t.amount < 0"
    merge = table.alias("t").merge(per_user.alias("s"), same)
    merge.whenNotMatchedInsert(values={"user": "s.user", "amount": "s.amount", "day": "s.day"}).execute()
    kept = spark.read.format("delta").load(path)
    kept.join(per_user.select("user", "n"), "user").orderBy("amount").limit(5).collect()
    kept.write.format("delta").mode("overwrite").option("replaceWhere", "day = '2017-01-01'").save(path)
    spark.stop()
    process = getattr(gateway, "proc", None)
    if gateway is not None:
        gateway.shutdown()
    if process is not None:
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    warm_up(Path(sys.argv[1]))
