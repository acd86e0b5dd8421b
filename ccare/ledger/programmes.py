"""What conf/programmes.toml and conf/funding.toml may hold, field by field."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Asset = Literal["POINT", "IMPRESSION", "FEN"]
OnFall = Literal["within_balance", "only_pending"]
_NAME = r"^[a-z][a-z0-9_]{0,31}$"
_POOL = r"^[a-z][a-z0-9_:]{0,31}$"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Rule(_Part):
    """``trade_net``: ``points`` for each ``per_fen`` of the net of the trades paid on the effective date."""

    name: Literal["trade_net"]
    points: int = Field(default=1, ge=1, le=1_000)
    per_fen: int = Field(default=1_000, ge=1, le=1_000_000_000)


class Programme(_Part):
    """One dated version of a programme; it rates the effective dates ``from_day``..``to_day``.

    A booked key keeps its own maturity and expiry dates and its multiplier, whatever later versions say.
    """

    name: str = Field(pattern=_NAME)
    title: str
    from_day: date = Field(alias="from")
    to_day: date | None = Field(default=None, alias="to")
    asset: Asset = "POINT"
    pool: str = Field(pattern=_POOL)
    eligibility: Literal["mini_program", "everyone"]
    eligibility_waived: bool = False
    on_fall: OnFall = "within_balance"
    maturity_days: int = Field(default=15, ge=0, le=3660)
    expiry_days: int = Field(default=180, ge=0, le=3660)
    note: str = ""
    rules: tuple[Rule, ...] = Field(min_length=1, strict=False)

    @property
    def needs_mini_program(self) -> bool:
        """Whether a merchant without a mini-program earns nothing."""
        return self.eligibility == "mini_program" and not self.eligibility_waived


class Pool(_Part):
    """A purse that grants one asset to one programme; pools never lend to one another."""

    name: str = Field(pattern=_POOL)
    programme: str = Field(pattern=_NAME)
    asset: Asset = "POINT"
    note: str = ""


def funding_key(pool: str, approval: str) -> str:
    """Business key of a funding's one transfer."""
    return f"funding|{pool}|{approval}"


class Funding(_Part):
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


class ProgrammesFile(_Part):
    """conf/programmes.toml."""

    version: str = Field(min_length=1, max_length=40)
    go_live: date
    late_window_days: int = Field(default=30, ge=0, le=3660)
    note: str = ""
    pools: tuple[Pool, ...] = Field(min_length=1, strict=False)
    programmes: tuple[Programme, ...] = Field(min_length=1, strict=False)


class FundingFile(_Part):
    """conf/funding.toml."""

    note: str = ""
    fundings: tuple[Funding, ...] = Field(default=(), strict=False)
