"""Names of the JVM are asked for once, and texts go over as they are."""

from typing import Any

import pytest
from py4j.java_gateway import GatewayClient
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from ccare.runtime.jvm import file_uri, java_strings

pytestmark = pytest.mark.spark
LOOK_UP = "r\n"


def test_a_column_asks_the_jvm_for_no_name(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def make() -> None:
        F.coalesce(F.when(F.col("a") > 1, F.lit("b")), F.lit("c")).isin("d", "e")

    make()  # the first time, methods are asked for
    send = GatewayClient.send_command

    def heard(self: GatewayClient, command: str, *arguments: Any, **named: Any) -> Any:
        told.append(command)
        return send(self, command, *arguments, **named)

    monkeypatch.setattr(GatewayClient, "send_command", heard)
    make()
    assert len([c for c in told if c.startswith("c\n")]) >= 8, "columns are made by calls"
    assert [c for c in told if c.startswith(LOOK_UP)] == []


def test_texts_go_over_whole(spark: SparkSession) -> None:
    assert list(java_strings(spark, ["a b", "ü", "c,`d`"])) == ["a b", "ü", "c,`d`"]
    assert file_uri(spark, "/land ing/a%b.jsonl") == "file:/land%20ing/a%25b.jsonl"
