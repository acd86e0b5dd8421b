"""What a rule of conf/abuse.toml may say, kind by kind. No engine is imported here."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FAMILIES = ("payer_mix", "timing", "identity", "money_flow", "after_behaviour")
"""What a rule looks at. Two rules of one family are one witness: only different families count together."""
FAMILIES_TO_WITHHOLD = 2
LONGEST_WINDOW = 63
"""Days of a rule's window: no longer than state keeps a user's days apart at a glance."""
_NAME = r"^[a-z][a-z0-9_]{0,31}$"


class _Rule(BaseModel):
    """Fields of every kind.

    The rule speaks where its measure is ``test`` ``threshold`` over the ``window_days`` that end with the effective
    date, and at least ``least`` of what its kind counts lie in them. ``effect``: withhold (with another family) or
    flag (never more than a mark). ``programmes``: those it counts for; none named means all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=_NAME)
    family: Literal["payer_mix", "timing", "identity", "money_flow", "after_behaviour"]
    test: Literal["at_least", "at_most"]
    threshold: float = Field(ge=0, le=1_000_000, strict=False)
    window_days: int = Field(ge=1, le=LONGEST_WINDOW)
    least: int = Field(ge=1, le=1_000_000)
    effect: Literal["withhold", "flag"] = "withhold"
    programmes: tuple[Annotated[str, Field(pattern=_NAME)], ...] = Field(default=(), strict=False)
    text_en: str = Field(min_length=1, max_length=300)
    text_zh: str = Field(min_length=1, max_length=300)


class _Later(_Rule):
    """Of what lies at least ``after_days`` back, so that everyone had that long."""

    after_days: int = Field(ge=0, le=LONGEST_WINDOW - 1)


class EffectivePayers(_Rule):
    """e^H of the paid amount over known payers: as many payers of equal amounts would be as mixed. Counts trades."""

    kind: Literal["effective_payers"]


class CrowdedHours(_Rule):
    """Share of ``events`` in crowded cells: one ``place`` and ``minutes``, with ``rows`` events or more and at least
    ``per_user`` events a user. Counts events."""

    kind: Literal["crowded_hours"]
    events: Literal["trades", "scans", "follows"]
    place: Literal["merchant", "terminal", "payer"] = "merchant"
    minutes: int = Field(default=60, ge=1, le=1440)
    rows: int = Field(ge=2, le=1_000_000)
    per_user: float = Field(default=1, ge=1, le=1_000, strict=False)


class StaffElsewhere(_Rule):
    """Share of the amount paid by people who are staff of another merchant. Counts trades."""

    kind: Literal["staff_elsewhere"]


class SharedTerminals(_Rule):
    """Share of the amount paid at terminals at which another merchant was paid too, in the window. Counts trades."""

    kind: Literal["shared_terminals"]


class LateRefunds(_Later):
    """Amount refunded more than ``after_days`` after it was paid, of the amount paid. Counts refunds."""

    kind: Literal["late_refunds"]


class RefundedPayers(_Later):
    """Share of payers of ``after_days`` ago who have since got nine tenths of it back. Counts payers."""

    kind: Literal["refunded_payers"]


class OneVisit(_Later):
    """Share of users who scanned ``after_days`` ago or earlier and were not active on any later day. Counts users."""

    kind: Literal["one_visit"]


class Unfollowed(_Later):
    """Share of users who followed ``after_days`` ago or earlier and do not any more. Counts users."""

    kind: Literal["unfollowed"]


UserRule = EffectivePayers | LateRefunds | RefundedPayers | OneVisit | Unfollowed
EventRule = CrowdedHours | StaffElsewhere | SharedTerminals
Rule = UserRule | EventRule
USER_RULES = (EffectivePayers, LateRefunds, RefundedPayers, OneVisit, Unfollowed)
"""Kinds that days of users tell; the others need the events themselves."""
AnyRule = Annotated[Rule, Field(discriminator="kind")]


def looks_ahead(rule: Rule) -> str:
    """What a rule's own numbers make impossible, or nothing."""
    if isinstance(rule, RefundedPayers | OneVisit | Unfollowed) and rule.after_days >= rule.window_days:
        return f"after_days {rule.after_days} leaves nothing of its {rule.window_days} days"
    if rule.test == "at_least" and not isinstance(rule, EffectivePayers | LateRefunds) and rule.threshold > 1:
        return f"threshold {rule.threshold} is never reached by a share"
    return ""
