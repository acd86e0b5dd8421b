"""A party of the ledger, merchant or service provider, as the one word that its accounts begin with.

Tables keep the two ids in two columns, one of them null. A close carries ``party`` ("merchant:<id>" or
"provider:<id>", null for a funding) in their place, so no step asks which kind it is and none joins twice.
"""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

IDS = ("merchant_id", "service_provider_id")
_MERCHANT, _PROVIDER = "merchant:", "provider:"
PARTY = f"coalesce('{_MERCHANT}' || merchant_id, '{_PROVIDER}' || service_provider_id)"
"""The party of a row of a table, as SQL; null of a funding."""


def merchant_party(merchant_id: Column) -> Column:
    """The party that a column of merchant ids names; null where it is."""
    return F.concat(F.lit(_MERCHANT), merchant_id)


def provider_party(service_provider_id: Column) -> Column:
    """The party that a column of service provider ids names; null where it is."""
    return F.concat(F.lit(_PROVIDER), service_provider_id)


def with_party(frame: DataFrame) -> DataFrame:
    """``frame`` with ``party`` in place of the two ids."""
    named = F.coalesce(merchant_party(F.col("merchant_id")), provider_party(F.col("service_provider_id")))
    return frame.withColumn("party", named).drop(*IDS)


def split_party(frame: DataFrame) -> DataFrame:
    """``frame`` with the two ids in place of ``party``."""
    return frame.withColumns({"merchant_id": _id(_MERCHANT), "service_provider_id": _id(_PROVIDER)}).drop(
        "party"
    )


def _id(kind: str) -> Column:
    named = F.col("party")
    return F.when(named.startswith(kind), F.substring(named, len(kind) + 1, 64))


def party_id(party: Column) -> Column:
    """The id alone, as business keys and content hashes name a party."""
    return F.substring_index(party, ":", -1)


def party_of(row: Mapping[str, Any]) -> str:
    """The party of a row of a table."""
    if row["merchant_id"] is not None:
        return f"{_MERCHANT}{row['merchant_id']}"
    return f"{_PROVIDER}{row['service_provider_id']}"


def spender(request: Mapping[str, Any]) -> str:
    """Whose points a redemption request spends: its provider's where one asks, else the merchant's own."""
    provider = request["service_provider_id"]
    return f"{_PROVIDER}{provider}" if provider else f"{_MERCHANT}{request['merchant_id']}"


def ids_of(party: str) -> dict[str, str | None]:
    """The two id columns of ``party``."""
    kind, _, name = party.partition(":")
    return {"merchant_id": name if kind == "merchant" else None} | {
        "service_provider_id": name if kind == "provider" else None
    }
