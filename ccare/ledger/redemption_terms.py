"""What conf/slots.toml says about redeeming points, field by field."""

from pydantic import BaseModel, ConfigDict, Field

LONGEST_DAYS = 366
"""No reservation is open for longer, whatever the policy says."""


class RedemptionTerms(BaseModel):
    """``[version.redemption]``: how points become impressions from the close of a day on.

    ``capacity``: impressions that one slot sells for points a day, of which one merchant takes at most
    ``merchant_share_percent``. A grant runs for ``run_days`` from the day after its close and is resolved
    ``settle_days`` after it, because delivery is told late. Of a grant's hours, ``holdout_percent`` are withheld.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pool: str = Field(default="traffic", pattern=r"^[a-z][a-z0-9_:]{0,31}$")
    capacity: int = Field(default=1_000_000, ge=1, le=10**12)
    merchant_share_percent: int = Field(default=10, ge=1, le=100)
    minimum_points: int = Field(default=100, ge=1, le=10**12)
    run_days: int = Field(default=14, ge=1, le=LONGEST_DAYS)
    settle_days: int = Field(default=21, ge=1, le=LONGEST_DAYS)
    holdout_percent: int = Field(default=10, ge=0, le=90)
    seed: str = Field(default="ccare", min_length=1, max_length=64)
    blocked_merchants: tuple[str, ...] = Field(default=(), strict=False)

    @property
    def merchant_capacity(self) -> int:
        """Impressions that one merchant can take of a slot's day."""
        return self.capacity * self.merchant_share_percent // 100

    def mistakes(self) -> list[str]:
        """What no single field can tell."""
        if self.settle_days < self.run_days:
            return [f"settle_days {self.settle_days} ends before run_days {self.run_days}"]
        return []


class PromotionTerms(BaseModel):
    """``[version.promotion]``: merchants enrolled in ``programme`` share what a slot's day has left over."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    programme: str = Field(default="daily_promotion", pattern=r"^[a-z][a-z0-9_]{0,31}$")
