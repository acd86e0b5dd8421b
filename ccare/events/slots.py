"""Scene codes and promo positions to traffic slots, by dated policy (conf/slots.toml)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ccare.errors import UsageError
from ccare.ledger.redemption_terms import PromotionTerms, RedemptionTerms
from ccare.runtime.policy_file import policy_path, read_policy
from ccare.tables.state import FUNNEL_SLOTS


@dataclass(frozen=True)
class SlotMap:
    """The slots in force on a day: scene code -> slot, promo position -> slot, and which slots are public.

    ``prices``: slot -> points for 1,000 impressions, ``default_price`` for the others, 0 where it is not sold for
    points; ``point_cost_fen``: what a point costs; ``redemption``: how points are turned into impressions.
    """

    version: str
    scenes: dict[str, str]
    positions: dict[str, str]
    public: tuple[str, ...]
    prices: dict[str, int]
    default_price: int
    point_cost_fen: int
    redemption: RedemptionTerms = field(default_factory=RedemptionTerms)
    promotion: PromotionTerms | None = None
    dated: tuple[tuple[str, date, RedemptionTerms], ...] = ()
    """Version, first day and redemption of every version of the file, oldest first: a grant keeps the draw it got."""

    def terms_of(self, version: str | None) -> RedemptionTerms:
        """How ``version`` turns points into impressions; this one's terms where the file no longer has it."""
        return next((terms for name, _, terms in self.dated if name == version), self.redemption)

    def terms_on(self, day: date) -> RedemptionTerms:
        """The terms in force on ``day``; this version's before the first."""
        return next((terms for _, first, terms in reversed(self.dated) if first <= day), self.redemption)

    def price(self, slot: str) -> int | None:
        """Points for 1,000 impressions in a public slot; None where none can be bought."""
        return self.prices.get(slot, self.default_price) or None if slot in self.public else None

    @property
    def names(self) -> tuple[str, ...]:
        """Every slot that can be told, unknown included."""
        return tuple(sorted({*self.scenes.values(), *self.positions.values(), "unknown"}))


_Price = Annotated[int, Field(ge=0, le=10**9)]
_Codes = dict[str, list[str]]


class _Points(BaseModel):
    """What impressions cost in points; a file written before they were bought says nothing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prices: dict[str, _Price] = Field(default_factory=dict)
    default_price: _Price = 100
    point_cost_fen: _Price = 1


class _Version(BaseModel):
    """One ``[[version]]`` of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str = Field(min_length=1, max_length=40)
    from_day: date = Field(alias="from")
    public: list[str]
    scenes: _Codes
    positions: _Codes
    points: _Points = Field(default_factory=_Points)
    redemption: RedemptionTerms = Field(default_factory=RedemptionTerms)
    promotion: PromotionTerms | None = None

    def mistakes(self) -> list[str]:
        """What no single field can tell."""
        known = {*self.scenes, *self.positions, *FUNNEL_SLOTS}
        found = [
            f"{code} stands under two slots"
            for groups in (self.scenes, self.positions)
            for code in _twice(code for group in groups.values() for code in group)
        ]
        found += [
            f"public: {slot} is no known slot, and has neither scene nor position"
            for slot in self.public
            if slot not in known
        ]
        found += [f"public: {slot} stands twice" for slot in _twice(self.public)]
        found += [
            f"points: prices: {slot} is no public slot, so it is not sold"
            for slot in self.points.prices
            if slot not in self.public
        ]
        return found + [f"redemption: {mistake}" for mistake in self.redemption.mistakes()]


def load_slots(conf: Path, day: date) -> SlotMap:
    """The version in force on ``day``; UsageError lists every mistake of the file at once."""
    path = policy_path(conf, "slots.toml")
    told = read_policy(path, "slot map").get("version")
    versions, mistakes = (
        _versions(told) if isinstance(told, list) and told else ([], ["it has no [[version]]"])
    )
    in_force = [version for version in versions if version.from_day <= day]
    if not in_force and not mistakes:
        mistakes.append(f"no version is in force on {day}")
    if mistakes:
        raise UsageError(f"{path.name}: {'; '.join(mistakes)}.", remedy="Mend the file and run again.")
    chosen = max(in_force, key=lambda version: version.from_day)
    return SlotMap(
        chosen.version,
        _inverse(chosen.scenes),
        _inverse(chosen.positions),
        tuple(chosen.public),
        prices=chosen.points.prices,
        default_price=chosen.points.default_price,
        point_cost_fen=chosen.points.point_cost_fen,
        redemption=chosen.redemption,
        promotion=chosen.promotion,
        dated=tuple(
            (each.version, each.from_day, each.redemption)
            for each in sorted(versions, key=lambda version: version.from_day)
        ),
    )


def _versions(told: list[Any]) -> tuple[list[_Version], list[str]]:
    """Versions that can be read, and every mistake of all; one that cannot be read hides nothing of the others."""
    versions, mistakes = [], []
    for place, each in enumerate(told, start=1):
        named = each.get("version") if isinstance(each, dict) else None
        where = named if isinstance(named, str) and named else f"version {place}"
        try:
            versions.append(_Version.model_validate(each))
        except ValidationError as error:
            mistakes += [
                f"{where}: {': '.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()
            ]
        else:
            mistakes += [f"{where}: {mistake}" for mistake in versions[-1].mistakes()]
    tables = [each for each in told if isinstance(each, dict)]
    for name in ("version", "from"):
        values = (str(each[name]) for each in tables if isinstance(each.get(name), str | date))
        mistakes += [f"two versions have {name} {value}" for value in _twice(values)]
    return versions, mistakes


def _inverse(groups: _Codes) -> dict[str, str]:
    return {code: slot for slot, codes in groups.items() for code in codes}


def _twice(values: Iterable[str]) -> list[str]:
    return sorted(value for value, count in Counter(values).items() if count > 1)
