"""What a rule of conf/programmes.toml may say: one model for each kind, found by its ``kind``.

A kind counts units of a party and effective date; ``points`` says what a unit is worth. How a kind counts stands in
``ccare.ledger.measures`` under the same name. A rule whose name is its kind's need not repeat it.
"""

from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Asset = Literal["POINT", "IMPRESSION", "FEN"]
POOL = r"^[a-z][a-z0-9_:]{0,31}$"
NAME = r"^[a-z][a-z0-9_]{0,31}$"
_ACTIVITY = r"^[A-Za-z0-9_.:-]{1,64}$"


class Part(BaseModel):
    """A part of a policy file: nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Words(Part):
    """A text in both languages of the product."""

    zh: str = Field(min_length=1, max_length=200)
    en: str = Field(min_length=1, max_length=200)


class Rule(Part):
    """What every rule says. ``most_a_day``: units of the asset that one party gets of it for one date.

    ``asset`` and ``pool`` where they are not the programme's.
    """

    party: ClassVar[Literal["merchant", "provider"]] = "merchant"
    """Who earns by it."""
    is_monthly: ClassVar[bool] = False
    """Whether only a month's last day is an effective date."""

    name: str = Field(pattern=NAME)
    points: int = Field(default=1, ge=1, le=1_000_000_000)
    asset: Asset | None = None
    pool: str | None = Field(default=None, pattern=POOL)
    most_a_day: int | None = Field(default=None, ge=1, le=10**12)
    text: Words | None = None

    @property
    def per(self) -> int:
        """Units that ``points`` are given for."""
        return 1

    @property
    def counted_by(self) -> dict[str, Any]:
        """The parameters that decide what is counted: rules of a kind with the same ones share one measure."""
        return self.model_dump(exclude={*Rule.model_fields, "kind", "per_fen"})

    @property
    def measure(self) -> str:
        """Name of what is counted: the kind and its parameters."""
        told = ", ".join(f"{name}={value}" for name, value in sorted(self.counted_by.items()))
        return f"{_kind(self)}({told})" if told else str(_kind(self))


class TradeNet(Rule):
    """Fen of the net of the trades paid on the effective date: ``points`` for each ``per_fen``."""

    kind: Literal["trade_net"] = "trade_net"
    per_fen: int = Field(default=1_000, ge=1, le=1_000_000_000)

    @property
    def per(self) -> int:
        """Fen."""
        return self.per_fen


class RelationKept(Rule):
    """Users whose first-ever follow (or joining) is still on at the end of that date + ``days``: effective then."""

    kind: Literal["relation_kept"] = "relation_kept"
    relation: Literal["follow", "member"]
    days: int = Field(default=7, ge=1, le=60)


class PrivateDay(Rule):
    """Users with an event that makes the effective date active in slot private."""

    kind: Literal["private_day"] = "private_day"


class ReturningPayer(Rule):
    """Users paying on the effective date who paid within ``within_days`` before, each once in ``once_in_days``."""

    kind: Literal["returning_payer"] = "returning_payer"
    within_days: int = Field(default=90, ge=1, le=366)
    once_in_days: int = Field(default=28, ge=1, le=366)


class GuidedReturn(Rule):
    """Users whose first active day holds a guided visit and who come again within ``within_days``: effective then.

    At most ``most_per_terminal`` of one terminal and effective date count.
    """

    kind: Literal["guided_return"] = "guided_return"
    within_days: int = Field(default=7, ge=1, le=60)
    most_per_terminal: int = Field(default=200, ge=1, le=1_000_000)


class VoucherReturn(Rule):
    """Users who received a voucher of one of ``activities`` and were active again within ``within_days``, once each."""

    kind: Literal["voucher_return"] = "voucher_return"
    activities: tuple[Annotated[str, Field(pattern=_ACTIVITY)], ...] = Field(min_length=1, strict=False)
    within_days: int = Field(default=7, ge=1, le=60)


class TopOfPeers(Rule):
    """One unit on every ``weekday`` for the best of a peer group, fixed when that day is closed.

    Asked: both scores at least ``least_score`` and the shrunk private share at least ``least_private_percent``; of
    these the first by the scores' sum, at most ``share_percent`` of the group.
    """

    kind: Literal["top_of_peers"] = "top_of_peers"
    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "sunday"
    least_score: int = Field(default=80, ge=0, le=100)
    least_private_percent: int = Field(default=50, ge=0, le=100)
    share_percent: int = Field(default=10, ge=1, le=100)

    def falls_on(self, day: date) -> bool:
        """Whether ``day`` is one of its days."""
        return f"{day:%A}".lower() == self.weekday


class Monthly(Rule):
    """``points`` for each ``per_fen``, told on a month's last day and again on the last days of ``told_again`` more."""

    is_monthly: ClassVar[bool] = True
    per_fen: int = Field(default=100, ge=1, le=1_000_000_000)
    told_again: int = Field(default=3, ge=0, le=12)

    @property
    def most_days_late(self) -> int:
        """At most so many days after its last day a month is told for the last time."""
        return 31 * self.told_again

    @property
    def per(self) -> int:
        """Fen."""
        return self.per_fen


class SettledFees(Monthly):
    """Fees of the month's settled trades, each for the part of its trade that was not refunded, in fen."""

    kind: Literal["settled_fees"] = "settled_fees"


class SettledNet(Monthly):
    """Net of the month's settled trades, in fen."""

    kind: Literal["settled_net"] = "settled_net"


class ServedFees(Monthly):
    """Fees as settled_fees tells them, of the merchants that a service provider serves on the month's last day."""

    party: ClassVar[Literal["merchant", "provider"]] = "provider"
    kind: Literal["served_fees"] = "served_fees"


class GrowthOverPeers(Monthly):
    """How much more, in fen, the adopters of a service provider's solutions grew than their peers.

    At most ``most_providers`` with a registered solution have a place. ``fallen_scores_count``: also a merchant whose
    total score is lower than 28 days before, or is not known, counts where it grew more than its peers.
    """

    party: ClassVar[Literal["merchant", "provider"]] = "provider"
    kind: Literal["growth_over_peers"] = "growth_over_peers"
    most_providers: int = Field(default=1_000, ge=1, le=1_000_000)
    fallen_scores_count: bool = False


USER_KINDS = ("relation_kept", "private_day", "returning_payer", "guided_return", "voucher_return")
"""Kinds that count users by their days (``ccare.ledger.user_days``)."""


def _kind(told: Any) -> Any:
    """The kind that a rule names, else its own name."""
    if isinstance(told, dict):
        return told.get("kind", told.get("name"))
    return getattr(told, "kind", None)


AnyRule = Annotated[
    Annotated[TradeNet, Tag("trade_net")]
    | Annotated[RelationKept, Tag("relation_kept")]
    | Annotated[PrivateDay, Tag("private_day")]
    | Annotated[ReturningPayer, Tag("returning_payer")]
    | Annotated[GuidedReturn, Tag("guided_return")]
    | Annotated[VoucherReturn, Tag("voucher_return")]
    | Annotated[TopOfPeers, Tag("top_of_peers")]
    | Annotated[SettledFees, Tag("settled_fees")]
    | Annotated[SettledNet, Tag("settled_net")]
    | Annotated[ServedFees, Tag("served_fees")]
    | Annotated[GrowthOverPeers, Tag("growth_over_peers")],
    Discriminator(_kind),
]
"""A rule of any kind."""
