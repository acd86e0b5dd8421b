"""What a metric's declaration holds. No engine is imported here."""

from dataclasses import dataclass
from typing import Literal

DIMENSIONS = ("scale", "activity", "potential", "efficiency")


@dataclass(frozen=True)
class Metric:
    """One metric.

    ``edges``: what happens where the definition alone leaves a doubt; ``source``: the tables it is read from.
    ``is_estimate``: a figure with a 90 % interval (<id>_low to <id>_high) beside the sums that it is made of.
    ``population`` names what n counts when a ratio is shrunk (people or orders, never money).
    ``scoring`` is the transform before percentiles: log1p, signed_log1p or identity; empty = shown only.
    ``scored_as``: the value as it is; ``part_of_whole``: a / (a + b) instead of a / b, known where b is 0;
    ``cost_per_result``: the cost counts where there is no result yet.
    """

    id: str
    dimension: str
    definition: str
    unit: str
    window_days: int
    edges: str = ""
    source: str = "state_users"
    is_ratio: bool = False
    is_estimate: bool = False
    scoring: str = ""
    lower_is_better: bool = False
    population: str = ""
    fixed_k: float | None = None
    scored_as: Literal["value", "part_of_whole", "cost_per_result"] = "value"

    @property
    def scored(self) -> bool:
        """Whether it can carry weight in a score."""
        return bool(self.scoring)

    @property
    def is_proportion(self) -> bool:
        """A ratio of people, trades or amounts to a whole: its interval is taken on the logit."""
        return self.is_ratio and (self.unit == "share" or self.scored_as == "part_of_whole")

    @property
    def described(self) -> str:
        """The definition and its edge cases, in words that a merchant can read."""
        return f"{self.definition} {self.edges}".strip()

    @property
    def window(self) -> str:
        """How many days it looks back."""
        return "1 day" if self.window_days == 1 else f"{self.window_days} days"

    @property
    def documented(self) -> str:
        """What the column's comment says: the definition, its edge cases, its window and the tables it is read from."""
        return f"{self.described} Window: {self.window}; from {self.source}."
