"""Scene codes and promo positions to traffic slots, by dated policy (conf/slots.toml)."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ccare.errors import UsageError
from ccare.runtime.policy_file import policy_path, read_policy


@dataclass(frozen=True)
class SlotMap:
    """The slots in force on a day: scene code -> slot, promo position -> slot, and which slots are public."""

    version: str
    scenes: dict[str, str]
    positions: dict[str, str]
    public: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every slot that can be told, unknown included."""
        return tuple(sorted({*self.scenes.values(), *self.positions.values(), "unknown"}))


def load_slots(conf: Path, day: date) -> SlotMap:
    """The version in force on ``day``; UsageError lists every mistake of the file at once."""
    path = policy_path(conf, "slots.toml")
    versions = read_policy(path, "slot map")["version"]
    mistakes = [
        f"{version['version']}: {code} stands under two slots"
        for version in versions
        for kind in ("scenes", "positions")
        for code in _repeated(version[kind])
    ]
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
    )


def _inverse(groups: dict[str, list[str]]) -> dict[str, str]:
    return {code: slot for slot, codes in groups.items() for code in codes}


def _repeated(groups: dict[str, list[str]]) -> list[str]:
    codes = [code for group in groups.values() for code in group]
    return sorted({code for code in codes if codes.count(code) > 1})
