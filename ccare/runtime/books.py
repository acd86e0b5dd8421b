"""The published ledger, read without a JVM: balances as of a day, a party's statement, what is asked."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from ccare.errors import InputMissing, IntegrityBroken
from ccare.growth.snapshot import connect, name_of
from ccare.ledger.approvals import Asked
from ccare.ledger.parties import ids_of
from ccare.ledger.programmes import funding_key
from ccare.ledger.statements import BALANCES, STATEMENT
from ccare.runtime.asks import delivered_asks
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

Row = dict[str, Any]
_WHEN = {
    "merchant": "Points come with the first sale.",
    "provider": "Providers are paid on a month's last day.",
}


@dataclass(frozen=True)
class Statement:
    """A party's lines of a period; each account's ``opening`` and lines make its ``closing``."""

    merchant_id: str | None
    service_provider_id: str | None
    first: date | None
    last: date
    opening: dict[str, int]
    lines: list[Row]
    closing: dict[str, int]


def balances_as_of(settings: Settings, row: Published, as_of: date, known_on: date | None) -> list[Row]:
    """Balance of every account by what counts up to ``as_of``, as far as it was booked by ``known_on``.

    InputMissing for a day that is not closed yet.
    """
    known = known_on or row.business_date
    for day in (as_of, known):
        if day > row.business_date:
            raise InputMissing(f"{day} is not closed; the last day is {row.business_date}.")
    return _rows(settings, row, BALANCES, {"as_of": as_of, "known_on": known})


def statement(
    settings: Settings, row: Published, party: str, first: date | None, last: date | None
) -> Statement:
    """Everything booked for ``party`` (merchant:<id> or provider:<id>) from ``first`` to ``last``.

    InputMissing where it has no transfer; IntegrityBroken where the lines do not make the published balances.
    """
    lines = _rows(settings, row, STATEMENT, {"party": party})
    if not lines:
        raise InputMissing(f"{_named(party)} has no transfer.", remedy=_WHEN[party.partition(":")[0]])
    _check(settings, row, party, lines)
    until, ids = last or row.business_date, ids_of(party)
    before = [line for line in lines if first is not None and line["booked_date"] < first]
    shown = [line for line in lines if line["booked_date"] <= until]
    return Statement(
        ids["merchant_id"],
        ids["service_provider_id"],
        first,
        until,
        _standing(before),
        shown[len(before) :] if first else shown,
        _standing(shown),
    )


def _named(party: str) -> str:
    kind, _, name = party.partition(":")
    return f"{'Merchant' if kind == 'merchant' else 'Service provider'} {name}"


def _standing(lines: list[Row]) -> dict[str, int]:
    """Balance of each account after ``lines``."""
    found: dict[str, int] = {}
    for line in lines:
        name = f"{line['part']} {line['asset']}"
        found[name] = found.get(name, 0) + line["amount"]
    return dict(sorted(found.items()))


def _check(settings: Settings, row: Published, party: str, lines: list[Row]) -> None:
    query = "select account, asset, balance from ledger_balances where starts_with(account, $party || ':')"
    published = _rows(settings, row, query, {"party": party})
    kept = {f"{b['account'].rsplit(':', 1)[1]} {b['asset']}": b["balance"] for b in published}
    made = _standing(lines)
    for name in sorted({*kept, *made}):
        if kept.get(name, 0) != made.get(name, 0):
            raise IntegrityBroken(
                f"The statement of {party} adds up to {made.get(name, 0)} {name}, its balance is "
                f"{kept.get(name, 0)} (L13).",
                remedy="Run `ccare verify`.",
            )


def asked_for(settings: Settings, row: Published | None) -> list[Row]:
    """What was asked under each reference, who approved it, and what closes made of it so far."""
    adjusted: dict[str, list[Row]] = {}
    funded, unfunded = set(), dict[str, str]()
    if row is not None:
        for each in _rows(settings, row, "select * from ledger_adjustments", {}):
            adjusted.setdefault(each["approval"], []).append(each)
        query = "select business_key from ledger_transfers where code = 'fund'"
        funded = {each["business_key"] for each in _rows(settings, row, query, {})}
        query = "select business_key, reason from ledger_refusals where rule = 'funding' order by decided_on"
        unfunded = {each["business_key"]: each["reason"] for each in _rows(settings, row, query, {})}
    result = []
    for approval, asked in sorted(delivered_asks(settings).items()):
        done = adjusted.get(approval, [])
        keys = [funding_key(f["pool"], approval) for f in asked.fundings]
        booked = sum(key in funded for key in keys)
        booked += sum(each["status"] == "booked" for each in done)
        refused = [f"{each['transfer_id'][:12]}: {each['refusal']}" for each in done if each["refusal"]]
        refused += [f"{key}: {unfunded[key]}" for key in keys if key in unfunded and key not in funded]
        refused += [f"approval of {each.approved_by}: {each.why}" for each in asked.ignored]
        # Nobody has to look at an approval of nothing.
        of_nothing = ", ".join(each.approved_by for each in asked.ignored) if not asked.is_asked else ""
        result.append(
            {
                "approval": approval,
                "asked_by": ", ".join(asked.asked_by),
                "what": "; ".join(_told(asked)),
                "fundings": len(asked.fundings),
                "adjustments": len(asked.adjustments),
                "approved_by": asked.approved_by or of_nothing or None,
                "booked": booked,
                "refused": "; ".join(refused) or None,
            }
        )
    return result


def _told(asked: Asked) -> list[str]:
    """Each line that stands under a reference, in words."""
    told = [
        f"fund {f['pool']} with {f['amount']} {f['asset']} from {f['effective_date']} ({f.get('note') or 'no note'})"
        for f in asked.fundings
    ]
    return told + [
        f"offset {a['amount']} of transfer {a['transfer_id'][:12]}… ({a['note']})" for a in asked.adjustments
    ]


def _rows(settings: Settings, row: Published, query: str, values: dict[str, Any]) -> list[Row]:
    con = connect(settings.lake, row)
    for name in ("ledger_transfers",):
        query = query.replace(f"<{name}>", name_of(name))
    found = con.execute(query, values)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, values, strict=True)) for values in found.fetchall()]
