"""Dated policy against abuse, read from ``conf/abuse.toml``; every mistake is told at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ccare.abuse.rules import AnyRule, Rule, looks_ahead
from ccare.errors import UsageError
from ccare.runtime.policy_file import policy_path, read_policy

FILE_NAME = "abuse.toml"


class Appeal(BaseModel):
    """How a merchant objects, in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class Version(BaseModel):
    """One version: it judges effective dates from ``from_day`` until the next version's. No rules: nobody is judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")
    from_day: date = Field(alias="from")
    rules: tuple[AnyRule, ...] = Field(default=(), strict=False)


class AbuseFile(BaseModel):
    """conf/abuse.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    appeal: Appeal
    version: tuple[Version, ...] = Field(min_length=1, strict=False)


@dataclass(frozen=True)
class InForce:
    """A rule and the effective dates that its version judges; ``last`` is None for the newest version's."""

    rule: Rule
    policy_version: str
    first: date
    last: date | None


@dataclass(frozen=True)
class AbusePolicy:
    """What closes go by. Rules are numbered in their order here."""

    rules: tuple[InForce, ...] = ()
    appeal: Appeal | None = None

    def judging(self, first: date, last: date) -> tuple[InForce, ...]:
        """Rules whose versions judge any effective date from ``first`` to ``last``."""
        return tuple(r for r in self.rules if r.first <= last and (r.last is None or r.last >= first))

    def told(self, name: str, version: str) -> Rule | None:
        """The rule of a stored row, for its words; None where the policy does not have it any more."""
        return next((r.rule for r in self.rules if (r.rule.name, r.policy_version) == (name, version)), None)


NO_RULES = AbusePolicy()


def load_abuse(conf: Path) -> AbusePolicy:
    """The policy of ``conf``, or the product's own where ``conf`` has none.

    UsageError lists every mistake of the file at once; InputMissing where it cannot be read.
    """
    path = policy_path(conf, FILE_NAME)
    policy, mistakes = parse_abuse(read_policy(path, "policy against abuse"))
    if mistakes:
        listed = "".join(f"\n  - {mistake}" for mistake in mistakes)
        raise UsageError(
            f"{path} is refused:{listed}\n", remedy="Mend them all; no day is closed until then."
        )
    return policy


def parse_abuse(content: dict[str, Any]) -> tuple[AbusePolicy, list[str]]:
    """The policy of a parsed file and every mistake; the policy counts only without mistakes."""
    try:
        file = AbuseFile.model_validate(content)
    except ValidationError as error:
        return NO_RULES, [*_fields(content, error), *_dates(content)]
    mistakes = [*_rules(file), *_dates(content)]
    return AbusePolicy(tuple(_in_force(file)), file.appeal), mistakes


def _in_force(file: AbuseFile) -> Iterator[InForce]:
    ends = [v.from_day - timedelta(days=1) for v in file.version[1:]]
    for version, last in zip(file.version, [*ends, None], strict=True):
        yield from (InForce(rule, version.id, version.from_day, last) for rule in version.rules)


def _fields(content: dict[str, Any], error: ValidationError) -> Iterator[str]:
    for each in error.errors():
        where, told = _place(content, each["loc"]), each["input"]
        said = "" if isinstance(told, dict | list | tuple) else f" (it says {told!r:.60})"
        yield f"{where}: {each['msg'].lower()}{said}"


def _place(content: dict[str, Any], path: tuple[int | str, ...]) -> str:
    """version abuse-1, rule few_payers, least: by the names that the file itself gives."""
    words, at = [], content
    for step in path:
        inside = at[step] if isinstance(at, dict) and step in at else None
        inside = at[step] if isinstance(at, list) and isinstance(step, int) else inside
        if isinstance(inside, dict) and isinstance(step, int):
            words.append(str(inside.get("id") or inside.get("name") or f"number {step + 1}"))
        elif inside is not None or (isinstance(at, dict) and step == path[-1]):
            words.append({"rules": "rule"}.get(str(step), str(step)))
        at = inside if inside is not None else at
    return " ".join(words)


def _rules(file: AbuseFile) -> Iterator[str]:
    for version in file.version:
        names = [rule.name for rule in version.rules]
        for name in sorted({n for n in names if names.count(n) > 1}):
            yield f"version {version.id} rule {name}: stands twice"
        for rule in version.rules:
            if fault := looks_ahead(rule):
                yield f"version {version.id} rule {rule.name}: {fault}"


def _dates(content: dict[str, Any]) -> Iterator[str]:
    entries = content.get("version")
    told = [v for v in entries if isinstance(v, dict)] if isinstance(entries, list) else []
    ids = [v.get("id") for v in told]
    for name in sorted({str(i) for i in ids if i is not None and ids.count(i) > 1}):
        yield f"version id {name} is used twice"
    for before, after in pairwise(told):
        first, second = before.get("from"), after.get("from")
        if type(first) is type(second) is date and second <= first:
            yield f"version {after.get('id')} does not start after {before.get('id')} above it"
