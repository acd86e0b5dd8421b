"""A bill's detail lines one by one, out of the tables in which they are read."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa


class BillLine(NamedTuple):
    """A line as ``ccare.sources.bill_columns.BILL_LINE`` declares it, its reasons joined with commas."""

    position: int
    merchant_id: str
    line_key: str
    trade_no: str
    merchant_order_no: str | None
    kind: str | None
    refund_no: str | None
    occurred_at: datetime | None
    amount_fen: int | None
    receipt_fen: int | None
    merchant_discount_fen: int | None
    platform_discount_fen: int | None
    fee_fen: int | None
    reasons: str = ""
    digest: str | None = None
    payload: str | None = None
    payer: str | None = None


def one_by_one(tables: Iterable[pa.Table]) -> list[BillLine]:
    """Every line in order."""
    rows = (row for table in tables for row in table.to_pylist())
    return [BillLine(**{**row, "reasons": ",".join(row["reasons"])}) for row in rows]
