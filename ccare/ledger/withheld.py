"""Rows of traffic in hours that a grant's draw withholds: whatever arm they are told with, nobody pays for them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.ledger.arms import PARTS, withheld_parts
from ccare.ledger.redemption_terms import RedemptionTerms

if TYPE_CHECKING:
    from ccare.events.slots import SlotMap

Draw = tuple[str, int]
"""Seed and withheld parts of PARTS: terms that draw alike share it."""


def draw_of(terms: RedemptionTerms) -> Draw:
    """What decides the arms of a grant made under ``terms``."""
    return terms.seed, withheld_parts(terms)


def draws(slots: "SlotMap") -> tuple[Draw, ...]:
    """Every draw that a grant can have: mostly one, whatever the versions."""
    every = (slots.redemption, *(terms for _, _, terms in slots.dated))
    return tuple(sorted({draw_of(terms) for terms in every}))


def withheld_by(each: Sequence[Draw]) -> Column:
    """Of a row of core_traffic_hours, draw by draw as an array: whether its hour is withheld (``ccare.ledger.arms``).

    A row without an hour is withheld by none.
    """
    hour = F.date_format("occurred_at", "yyyy-MM-dd'T'HH':00:00Z'")
    return F.array(*(_withholds(draw, hour) for draw in each))


def _withholds(draw: Draw, hour: Column) -> Column:
    seed, parts = draw
    digest = F.sha2(F.concat_ws("\n", F.lit(seed), "merchant_id", "slot", hour), 256)
    drawn = F.conv(F.substring(digest, 1, 16), 16, 10).cast("decimal(20,0)") % PARTS
    return hour.isNotNull() & (drawn < parts)
