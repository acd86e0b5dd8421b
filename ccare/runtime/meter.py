"""What a job put into a table and what it cost: measured by thread, told in one line."""

import time
import uuid
from dataclasses import dataclass

from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Written:
    """One summary line: what a job put into a table and what it cost."""

    step: str
    table: str
    rows: int
    bytes: int
    files: int
    version: int
    seconds: float
    spark_jobs: int
    warnings: tuple[str, ...] = ()

    def line(self) -> str:
        """The line that a log shows."""
        return (
            f"{self.step:<8} {self.table:<26} {self.rows:>9,} rows  {self.files:>3} files  {self.bytes:>12,} B"
            f"  v{self.version:<4} {self.seconds:6.1f} s  {self.spark_jobs:>3} jobs"
        )


class Meter:
    """Seconds and Spark jobs since it was made, counted for the thread that made it; no jobs without a session."""

    def __init__(self, spark: SparkSession | None, name: str) -> None:
        self._context, self._group = spark and spark.sparkContext, f"{name}-{uuid.uuid4().hex[:12]}"
        if self._context:
            self._context.setJobGroup(self._group, name)
            for form in ("short", "long"):
                # Without it each operator of a plan looks through the stack for who called Spark.
                self._context.setLocalProperty(f"callSite.{form}", name)
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def jobs(self) -> int:
        return len(self._context.statusTracker().getJobIdsForGroup(self._group)) if self._context else 0
