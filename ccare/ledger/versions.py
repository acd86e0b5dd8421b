"""What a changed policy would change of dates that are closed: refused unless a programme says that it is meant.

Every published ledger policy is kept beside the lake's tables, so that the next one can be compared with it.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ccare.errors import UsageError
from ccare.ledger.policy import PROGRAMMES, LedgerPolicies
from ccare.ledger.programmes import Programme, ProgrammesFile
from ccare.runtime.manifest import write_atomically

_FOLDER = "_policies"
_SAID = {"title", "note", "texts", "retroactive"}
"""What a programme says of itself and no date is rated by."""


def keep(lake: Path, policies: LedgerPolicies) -> None:
    """Keep ``policies`` under its version; a version that is there already says the same."""
    path = _path(lake, policies.version)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, policies.programmes_file.model_dump_json(by_alias=True))


def require_forward(lake: Path, policies: LedgerPolicies, version: str, last: date) -> None:
    """UsageError naming every programme of ``policies`` that rates dates up to ``last`` otherwise than ``version`` did.

    A policy that was never kept, or is the same, is passed.
    """
    path = _path(lake, version)
    if version == policies.version or not path.exists():
        return
    before = ProgrammesFile.model_validate_json(path.read_text(encoding="utf-8"))
    found = retroactive(before, policies.programmes_file, last)
    if found:
        raise UsageError(
            f"{PROGRAMMES} changes dates up to {last}, which are closed: {'; '.join(found)}.",
            remedy=f"Give the change an entry of its own from {last + timedelta(days=1)} on, or write retroactive = "
            "true into the programme's entry: then what it changes is booked as differences.",
        )


def retroactive(before: ProgrammesFile, after: ProgrammesFile, last: date) -> list[str]:
    """What rates dates up to ``last`` otherwise in ``after``, but for programmes that say so."""
    found = [
        f"{name} was {getattr(before, name)} and is {getattr(after, name)}"
        for name in ("go_live", "late_window_days")
        if getattr(before, name) != getattr(after, name)
    ]
    old_alone, new_alone = ([a for a in f.adjust_alone if a.from_day <= last] for f in (before, after))
    if old_alone != new_alone:
        found.append("adjust_alone")
    ended = [{p.name: p.to_day for p in f.pools if not p.grants_on(last)} for f in (before, after)]
    found += [
        f"pool {name}" for name in sorted({*ended[0], *ended[1]}) if ended[0].get(name) != ended[1].get(name)
    ]
    meant = {p.name for p in after.programmes if p.retroactive}
    old, new = _rated(before, last), _rated(after, last)
    for name in sorted({*old, *new} - meant):
        if old.get(name, []) != new.get(name, []):
            found.append(f"programme {name}")
    return found


def _rated(file: ProgrammesFile, last: date) -> dict[str, list[dict[str, Any]]]:
    """Programme -> how each of its versions rates dates up to ``last``."""
    found: dict[str, list[dict[str, Any]]] = {}
    for p in sorted(file.programmes, key=lambda p: p.from_day):
        if p.from_day <= last:
            found.setdefault(p.name, []).append(_terms(p, last))
    return found


def _terms(p: Programme, last: date) -> dict[str, Any]:
    told = p.model_dump(exclude=_SAID)
    told["rules"] = [rule.model_dump(exclude={"text"}) for rule in p.rules]
    ends = p.to_day is not None and p.to_day < last
    return told | {"to_day": p.to_day if ends else None}


def _path(lake: Path, version: str) -> Path:
    return lake / _FOLDER / f"programmes-{version}.json"
