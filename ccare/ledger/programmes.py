"""What conf/programmes.toml and conf/funding.toml may hold, field by field."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from ccare.ledger.reasons import REFUSALS, Refusal
from ccare.ledger.rules import NAME, POOL, AnyRule, Asset, Part, Words

OnFall = Literal["within_balance", "only_pending", "debt"]
Eligibility = Literal["everyone", "mini_program", "trade", "enrolled"]
"""Who may earn; ``ccare.ledger.eligibility`` says how each is found out."""
Note = str | Words
"""What pages with points have to say: in both languages, or one text for both."""


class Programme(Part):
    """One dated version of a programme; it rates the effective dates ``from_day``..``to_day``.

    A booked key keeps its own maturity and expiry dates and its multiplier, whatever later versions say.
    ``eligibility`` trade admits ``industries`` and, with ``own_brand``, those that sell their own brand; enrolled
    admits at most ``most_merchants`` of at most ``most_industries``, in the order in which they enrolled.
    ``most_a_month`` bounds what is granted in a calendar month, whatever the pool holds. ``slot`` is where granted
    impressions run. ``retroactive`` says that a change of dates already closed is meant.
    """

    name: str = Field(pattern=NAME)
    title: str
    from_day: date = Field(alias="from")
    to_day: date | None = Field(default=None, alias="to")
    asset: Asset = "POINT"
    pool: str = Field(pattern=POOL)
    slot: str | None = Field(default=None, pattern=NAME)
    eligibility: Eligibility
    eligibility_waived: bool = False
    industries: tuple[str, ...] = Field(default=(), strict=False)
    own_brand: bool = False
    most_merchants: int | None = Field(default=None, ge=1, le=1_000_000)
    most_industries: int | None = Field(default=None, ge=1, le=1_000)
    multiplier: Literal["score", "none"] = "score"
    most_a_month: int | None = Field(default=None, ge=1, le=10**15)
    on_fall: OnFall = "within_balance"
    maturity_days: int = Field(default=15, ge=0, le=3660)
    expiry_days: int = Field(default=180, ge=0, le=3660)
    retroactive: bool = False
    note: Note = ""
    texts: dict[Refusal, Words] = Field(default_factory=dict)
    rules: tuple[AnyRule, ...] = Field(min_length=1, strict=False)

    def covers(self, day: date) -> bool:
        """Whether this version rates ``day``."""
        return self.from_day <= day and (self.to_day is None or day <= self.to_day)

    @property
    def asks(self) -> Eligibility:
        """The eligibility that counts: everyone's where the policy waives it."""
        return "everyone" if self.eligibility_waived else self.eligibility

    @property
    def needs_mini_program(self) -> bool:
        """Whether a merchant without a mini-program earns nothing."""
        return self.asks == "mini_program"

    @property
    def is_limited(self) -> bool:
        """Whether there is room for so many enrolled merchants or industries only."""
        return self.asks == "enrolled" and (self.most_merchants or self.most_industries) is not None

    def asset_of(self, rule: AnyRule) -> Asset:
        """What ``rule`` grants: its own asset, else the programme's."""
        return rule.asset or self.asset

    def pool_of(self, rule: AnyRule) -> str:
        """The pool that ``rule`` grants from: its own, else the programme's."""
        return rule.pool or self.pool

    @property
    def grants_impressions(self) -> bool:
        """Whether a rule of it grants impressions."""
        return any(self.asset_of(rule) == "IMPRESSION" for rule in self.rules)

    def text(self, refusal: Refusal) -> Words:
        """Why it grants nothing, or less, in both languages."""
        return self.texts.get(refusal) or Words(**REFUSALS[refusal])

    def mistakes(self) -> list[str]:
        """What no single field can tell."""
        found = []
        if self.to_day is not None and self.to_day < self.from_day:
            found.append(f"ends on {self.to_day}, before it starts")
        if self.eligibility_waived and not self.note:
            found.append("eligibility is waived, so a note has to say so")
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names):
            found.append("a rule stands twice")
        if self.eligibility != "trade" and (self.industries or self.own_brand):
            found.append("industries and own_brand belong to eligibility trade")
        if self.eligibility == "trade" and not (self.industries or self.own_brand):
            found.append("eligibility trade needs industries or own_brand")
        if self.eligibility != "enrolled" and (self.most_merchants or self.most_industries):
            found.append("most_merchants and most_industries belong to eligibility enrolled")
        if self.slot is None and self.grants_impressions:
            found.append("grants impressions, so a slot has to say where they run")
        if self.asks != "everyone" and any(rule.party == "provider" for rule in self.rules):
            found.append("pays service providers, of whom only eligibility everyone can be asked")
        if self.multiplier != "none" and any(rule.is_monthly for rule in self.rules):
            found.append("pays by the month, which no score multiplies: multiplier has to be none")
        return found


class Pool(Part):
    """A purse that grants one asset to one programme; pools never lend to one another.

    The close of ``to_day`` is the last that grants out of it; what falls later still comes back to it.
    """

    name: str = Field(pattern=POOL)
    programme: str = Field(pattern=NAME)
    asset: Asset = "POINT"
    note: str = ""
    to_day: date | None = Field(default=None, alias="to")

    def grants_on(self, day: date) -> bool:
        """Whether the close of ``day`` may grant out of it."""
        return self.to_day is None or day <= self.to_day

    @model_serializer(mode="wrap")
    def _told(self, tell: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without an end that is not there: a policy that closes no pool keeps its digest of before pools closed."""
        told: dict[str, Any] = tell(self)
        return {
            name: value for name, value in told.items() if name not in ("to_day", "to") or value is not None
        }


def funding_key(pool: str, approval: str) -> str:
    """Business key of a funding's one transfer."""
    return f"funding|{pool}|{approval}"


class Funding(Part):
    """An approved amount put into a pool by the first close on or after ``on``."""

    pool: str
    amount: int = Field(ge=1, le=10**15)
    on: date = Field(alias="date")
    approval: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")
    note: str = ""

    @property
    def business_key(self) -> str:
        """Key of its one transfer: an approval is used once."""
        return funding_key(self.pool, self.approval)


class AdjustAlone(Part):
    """From a day on, adjustments of one reference that move at most ``up_to`` units in all need no second person."""

    from_day: date = Field(alias="from")
    up_to: int = Field(ge=0, le=10**12)


def alone_up_to(told: Iterable[AdjustAlone], day: date) -> int:
    """Units that adjustments taken on ``day`` may move under one reference without a second person."""
    return max(((a.from_day, a.up_to) for a in told if a.from_day <= day), default=(day, 0))[1]


class ProgrammesFile(Part):
    """conf/programmes.toml."""

    version: str = Field(min_length=1, max_length=40)
    go_live: date
    late_window_days: int = Field(default=30, ge=0, le=3660)
    adjust_alone: tuple[AdjustAlone, ...] = Field(default=(), strict=False)
    note: Note = ""
    pools: tuple[Pool, ...] = Field(min_length=1, strict=False)
    programmes: tuple[Programme, ...] = Field(min_length=1, strict=False)


class FundingFile(Part):
    """conf/funding.toml."""

    note: str = ""
    fundings: tuple[Funding, ...] = Field(default=(), strict=False)
