"""Which hours of a grant are withheld, so that what the impressions brought can be measured."""

from datetime import UTC, datetime
from hashlib import sha256

from ccare.ledger.redemption_terms import RedemptionTerms

TREATED, HOLDOUT = "treated", "holdout"
PARTS = 10_000


def arm(terms: RedemptionTerms, merchant_id: str, slot: str, hour_start: datetime) -> str:
    """treated or holdout for one merchant, slot and hour; the same whoever asks, whenever.

    Drawn from the first eight bytes of SHA-256 of seed, merchant, slot and the hour's start (UTC), one a line.
    Whose hour is withheld sees nothing and pays nothing. ``hour_start`` may be of any zone.
    """
    hour = hour_start.astimezone(UTC).strftime("%Y-%m-%dT%H:00:00Z")
    text = "\n".join((terms.seed, merchant_id, slot, hour))
    drawn = int.from_bytes(sha256(text.encode()).digest()[:8], "big") % PARTS
    return HOLDOUT if drawn < withheld_parts(terms) else TREATED


def withheld_parts(terms: RedemptionTerms) -> int:
    """Of PARTS equal parts of the draw, how many are withheld."""
    return terms.holdout_percent * PARTS // 100
