"""Dated policy of reconciliation, read from ``conf/reconcile.toml``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from ccare.errors import UsageError
from ccare.runtime.policy_file import policy_path, read_policy

FILE_NAME = "reconcile.toml"
CHANNELS = ("alipay", "wechat")
MEASURES = ("amount_fen", "fee_fen", "merchant_discount_fen", "platform_discount_fen")
_LIMITS = {"allowed_fen": 10**15, "allowed_share_bp": 10_000, "days_back": 366}
BILL_PAYMENTS = ("wechat",)
"""Channels whose lines may become payments: only WeChat's name their payer."""
_KEYS = {"id", "from", "channels", "counted", "payments_from", *_LIMITS}


@dataclass(frozen=True)
class ReconcilePolicy:
    """One version in force from ``from_day`` on. ``allowed_share_bp``: of a bill's amounts, in basis points."""

    version: str
    from_day: date
    channels: tuple[str, ...]
    counted: tuple[str, ...]
    allowed_fen: int
    allowed_share_bp: int
    days_back: int
    payments_from: tuple[str, ...] = ()


def load_reconcile(conf: Path, day: date) -> ReconcilePolicy:
    """The version in force on ``day``, from ``conf`` or the product's own file where ``conf`` has none.

    UsageError lists every mistake of the file at once, or says that no version is in force; InputMissing where it
    cannot be read.
    """
    versions = _versions(conf)
    in_force = [version for version in versions if version.from_day <= day]
    if not in_force:
        raise UsageError(
            f"No reconciliation policy is in force on {day}; the first starts on {versions[0].from_day}.",
            remedy=f"Add a version with an earlier date to {FILE_NAME}.",
        )
    return in_force[-1]


def payments_ever_from(conf: Path, day: date) -> bool:
    """Whether any version up to ``day`` made payments of bills: their trades stay theirs when it no longer does."""
    return any(version.payments_from for version in _versions(conf) if version.from_day <= day)


def _versions(conf: Path) -> list[ReconcilePolicy]:
    path = policy_path(conf, FILE_NAME)
    versions, mistakes = parse_reconcile(read_policy(path, "reconciliation policy"))
    if mistakes:
        listed = "".join(f"\n  - {mistake}" for mistake in mistakes)
        raise UsageError(
            f"{path} is refused:{listed}\n", remedy="Mend them all; no day is scored until then."
        )
    return versions


def parse_reconcile(content: Mapping[str, Any]) -> tuple[list[ReconcilePolicy], list[str]]:
    """The versions of a parsed file, oldest first, and every mistake; the versions count only without mistakes."""
    mistakes = [f"unknown key {key}" for key in content if key != "version"]
    entries = content.get("version")
    if not isinstance(entries, list) or not entries or not all(isinstance(e, Mapping) for e in entries):
        return [], [*mistakes, "there is no [[version]] section"]
    versions = []
    for number, entry in enumerate(entries, start=1):
        found: list[str] = []
        versions.append(_version(entry, found))
        label = entry["id"] if isinstance(entry.get("id"), str) else f"number {number}"
        mistakes += [f"version {label}: {mistake}" for mistake in found]
    for before, after in pairwise(versions):
        if after.from_day <= before.from_day:
            mistakes.append(f"version {after.version} does not start after {before.version} above it")
    ids = [version.version for version in versions]
    mistakes += [f"version id {name} is used twice" for name in sorted({i for i in ids if ids.count(i) > 1})]
    return versions, mistakes


def _version(entry: Mapping[str, Any], mistakes: list[str]) -> ReconcilePolicy:
    mistakes += [f"unknown key {key}" for key in entry if key not in _KEYS]
    version, start = entry.get("id"), entry.get("from")
    if not isinstance(version, str) or not version:
        mistakes.append("id is missing or not a text")
    if not isinstance(start, date) or isinstance(start, datetime):
        mistakes.append("from is missing or not a date (YYYY-MM-DD without quotes)")
        start = date.max
    limits = {name: _limit(entry.get(name), name, mistakes) for name in _LIMITS}
    channels = _names(entry.get("channels"), "channels", CHANNELS, mistakes)
    counted = _names(entry.get("counted"), "counted", MEASURES, mistakes)
    made = entry.get("payments_from", [])
    payments_from = _names(made, "payments_from", BILL_PAYMENTS, mistakes) if made != [] else ()
    return ReconcilePolicy(str(version), start, channels, counted, **limits, payments_from=payments_from)


def _limit(value: Any, name: str, mistakes: list[str]) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LIMITS[name]:
        mistakes.append(f"{name} is {value!r}, not a whole number from 0 to {_LIMITS[name]}")
        return 0
    return value


def _names(value: Any, name: str, allowed: tuple[str, ...], mistakes: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(v not in allowed for v in value):
        mistakes.append(f"{name} is {value!r}, not a list out of {', '.join(allowed)}")
        return ()
    return tuple(dict.fromkeys(value))
