"""Loads the ledger's dated policy and refuses a wrong one with every mistake named at once."""

import tomllib
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ccare.errors import UsageError
from ccare.ledger.policy_checks import funding_mistakes, programme_mistakes
from ccare.ledger.programmes import AdjustAlone, Funding, FundingFile, Note, Pool, Programme, ProgrammesFile
from ccare.ledger.rules import USER_KINDS, AnyRule, Words
from ccare.runtime.policy_file import policy_path

_File = TypeVar("_File", bound=BaseModel)
PROGRAMMES = "programmes.toml"
FUNDING = "funding.toml"


@dataclass(frozen=True)
class LedgerPolicy:
    """What one close goes by. ``programmes`` holds every version in force on or before ``day``, because old
    effective dates are rated by the version of their own date; ``fundings`` those dated on or before it."""

    day: date
    version: str
    go_live: date
    late_window_days: int
    adjust_alone: tuple[AdjustAlone, ...]
    programmes: tuple[Programme, ...]
    pools: tuple[Pool, ...]
    fundings: tuple[Funding, ...]
    note: Note

    def pool(self, name: str) -> Pool:
        """The pool called ``name``; KeyError when there is none."""
        return {pool.name: pool for pool in self.pools}[name]

    @property
    def rules(self) -> tuple[AnyRule, ...]:
        """Rules of every version that may rate a date."""
        return tuple(rule for p in self.programmes for rule in p.rules)

    @property
    def user_rules(self) -> tuple[AnyRule, ...]:
        """Rules that count users by their days."""
        return tuple(rule for rule in self.rules if rule.kind in USER_KINDS)

    @property
    def notes(self) -> tuple[Words, ...]:
        """What a page that shows points must say about this policy; a text in one language stands for both."""
        notes = filter(None, (self.note, *(p.note for p in self.programmes)))
        return tuple(n if isinstance(n, Words) else Words.model_construct(zh=n, en=n) for n in notes)


@dataclass(frozen=True)
class LedgerPolicies:
    """A conf folder's whole ledger policy."""

    programmes_file: ProgrammesFile
    funding_file: FundingFile

    @property
    def version(self) -> str:
        """The file's own version and a digest of what it says: fundings are records, so they do not count."""
        text = self.programmes_file.model_dump_json()
        return f"{self.programmes_file.version}-{sha256(text.encode()).hexdigest()[:8]}"

    @property
    def go_live(self) -> date:
        """First effective date that may earn."""
        return self.programmes_file.go_live

    def for_day(self, day: date) -> LedgerPolicy:
        """The policy that the close of ``day`` goes by."""
        file = self.programmes_file
        return LedgerPolicy(
            day=day,
            version=self.version,
            go_live=file.go_live,
            late_window_days=file.late_window_days,
            adjust_alone=file.adjust_alone,
            programmes=tuple(p for p in file.programmes if p.from_day <= day),
            pools=file.pools,
            fundings=tuple(f for f in self.funding_file.fundings if f.on <= day),
            note=file.note,
        )


def load_ledger(conf: Path) -> LedgerPolicies:
    """The policy of ``conf``; a file that it lacks is read from the product's own conf folder.

    Raises UsageError naming every mistake of both files.
    """
    mistakes: list[str] = []
    told, programmes = _parsed(policy_path(conf, PROGRAMMES), PROGRAMMES, ProgrammesFile, mistakes)
    funded, funding = _parsed(policy_path(conf, FUNDING), FUNDING, FundingFile, mistakes)
    if told is not None:
        mistakes += programme_mistakes(told, PROGRAMMES)
    if told is not None and funded is not None:
        mistakes += funding_mistakes(told, funded, PROGRAMMES, FUNDING)
    if mistakes or programmes is None or funding is None:
        raise UsageError(
            f"The ledger policy has {len(mistakes)} mistake(s): " + "; ".join(mistakes) + ".",
            remedy=f"Mend {PROGRAMMES} and {FUNDING} in {conf}.",
        )
    return LedgerPolicies(programmes, funding)


def read_programmes(path: Path) -> LedgerPolicies:
    """The programmes in ``path``, without fundings: a policy to try out. UsageError naming every mistake."""
    mistakes: list[str] = []
    told, programmes = _parsed(path, path.name, ProgrammesFile, mistakes)
    if told is not None:
        mistakes += programme_mistakes(told, path.name)
    if mistakes or programmes is None:
        raise UsageError(
            f"{path} has {len(mistakes)} mistake(s): {'; '.join(mistakes)}.", remedy="Mend them all."
        )
    return LedgerPolicies(programmes, FundingFile())


def _parsed(
    path: Path, name: str, kind: type[_File], mistakes: list[str]
) -> tuple[dict[str, Any] | None, _File | None]:
    """What the file says, null where that is not TOML; and as ``kind``, null where a field of it is wrong."""
    told: dict[str, Any] | None = None
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        return told, kind.model_validate(told)
    except ValidationError as error:
        found = error.errors()
        mistakes += [
            f"{name}: {'.'.join(map(str, e['loc']))}: {e['msg'].lower()} (it says {e['input']!r:.60})"
            for e in found
            # A list is also called too short when its only entry is wrong: that entry is named already.
            if not any(o is not e and o["loc"][: len(e["loc"])] == e["loc"] for o in found)
        ]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{name} is not TOML: {error}")
    except OSError as error:
        mistakes.append(f"{name} cannot be read: {error.strerror}")
    return told, None
