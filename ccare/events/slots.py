"""Scene codes and promo positions to traffic slots, by dated policy (conf/slots.toml)."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypedDict

from pydantic import ValidationError

from ccare.errors import UsageError
from ccare.ledger.redemption_terms import PromotionTerms, RedemptionTerms
from ccare.runtime.policy_file import policy_path, read_policy


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

    def price(self, slot: str) -> int | None:
        """Points for 1,000 impressions in a public slot; None where none can be bought."""
        return self.prices.get(slot, self.default_price) or None if slot in self.public else None

    @property
    def names(self) -> tuple[str, ...]:
        """Every slot that can be told, unknown included."""
        return tuple(sorted({*self.scenes.values(), *self.positions.values(), "unknown"}))


class _Points(TypedDict):
    prices: dict[str, int]
    default_price: int
    point_cost_fen: int


def load_slots(conf: Path, day: date) -> SlotMap:
    """The version in force on ``day``; UsageError lists every mistake of the file at once."""
    path = policy_path(conf, "slots.toml")
    versions = read_policy(path, "slot map")["version"]
    mistakes = [
        f"{version['version']}: [version.points] holds a value that is not a whole number of at least 0"
        for version in versions
        if not all(isinstance(v, int) and v >= 0 for v in _numbers(version.get("points", {})))
    ]
    mistakes += [
        f"{version['version']}: {code} stands under two slots"
        for version in versions
        for kind in ("scenes", "positions")
        for code in _repeated(version[kind])
    ]
    mistakes += [fault for version in versions for fault in _redemption_faults(version)]
    in_force = [version for version in versions if version["from"] <= day]
    if not in_force:
        mistakes.append(f"no version is in force on {day}")
    if mistakes:
        raise UsageError(f"{path.name}: {'; '.join(mistakes)}.", remedy="Mend the file and run again.")
    chosen = max(in_force, key=lambda version: version["from"])
    return SlotMap(
        chosen["version"],
        _inverse(chosen["scenes"]),
        _inverse(chosen["positions"]),
        tuple(chosen["public"]),
        **_points(chosen.get("points", {})),
        redemption=RedemptionTerms.model_validate(chosen.get("redemption", {})),
        promotion=PromotionTerms.model_validate(told) if (told := chosen.get("promotion")) else None,
    )


def _redemption_faults(version: dict[str, Any]) -> list[str]:
    where = f"{version['version']}: redemption or promotion"
    try:
        found = RedemptionTerms.model_validate(version.get("redemption", {})).mistakes()
        PromotionTerms.model_validate(version.get("promotion", {}))
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()]
    return [f"{where}: {fault}" for fault in found]


def _points(told: dict[str, Any]) -> "_Points":
    """What impressions cost in points; a file written before they were bought says nothing."""
    default, cost = told.get("default_price", 100), told.get("point_cost_fen", 1)
    return {"prices": told.get("prices", {}), "default_price": default, "point_cost_fen": cost}


def _numbers(points: dict[str, Any]) -> list[Any]:
    return [*points.get("prices", {}).values(), *(v for k, v in points.items() if k != "prices")]


def _inverse(groups: dict[str, list[str]]) -> dict[str, str]:
    return {code: slot for slot, codes in groups.items() for code in codes}


def _repeated(groups: dict[str, list[str]]) -> list[str]:
    codes = [code for group in groups.values() for code in group]
    return sorted({code for code in codes if codes.count(code) > 1})
