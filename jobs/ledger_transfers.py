"""Books the day in the point ledger: new transfers, and the caches that are folded from them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

from ccare.ledger.closing import post

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: "Close") -> dict[str, DataFrame]:
    """New ledger_transfers of the day, its caches whole, and days of requests and allocations that change."""
    return post(inputs, close)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("ledger_transfers"))
