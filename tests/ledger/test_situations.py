"""Every rule of conf/programmes.toml has a case for each situation that it can be in, or says why it cannot."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from ccare.ledger.policy import load_ledger
from ccare.runtime.settings import default_conf
from tests.case_runner import Case, cases

SITUATIONS = ("earns", "just misses", "capped", "refunded", "late", "corrected")
_NO_MONEY = "it counts users by what they did, and a refund undoes no visit (docs/reference/programmes.md)"
DOES_NOT_APPLY = {
    ("fanxing.first_follow", "refunded"): "following costs nothing, so nothing is given back",
    ("fanxing.first_member", "refunded"): "joining costs nothing, so nothing is given back",
    ("fanxing.private_day", "refunded"): _NO_MONEY,
    ("luoma.guided_return", "refunded"): _NO_MONEY,
    ("wufu.card_receivers", "refunded"): _NO_MONEY,
}
_CAPS = {"terminal_cap", "day_cap", "month_cap", "cut_by_pool", "beyond_top_share"}
SHOWN = [
    (case, told["rule"], situation)
    for case in cases("ledger_transfers")
    for told in case.content.get("shows", [])
    for situation in told["situation"]
]


def rules() -> list[str]:
    """Programme and rule of every version of the product's own policy."""
    programmes = load_ledger(default_conf()).programmes_file.programmes
    return sorted({f"{p.name}.{rule.name}" for p in programmes for rule in p.rules})


def test_each_rule_has_a_case_for_each_situation() -> None:
    shown = {(rule, situation) for _, rule, situation in SHOWN}
    wanted = {(rule, situation) for rule in rules() for situation in SITUATIONS}
    assert shown <= wanted, f"no such rule or situation: {sorted(shown - wanted)}"
    assert set(DOES_NOT_APPLY) <= wanted and all(DOES_NOT_APPLY.values())
    assert not shown & set(DOES_NOT_APPLY), "a situation that is shown applies"
    assert not wanted - shown - set(DOES_NOT_APPLY), sorted(wanted - shown - set(DOES_NOT_APPLY))


def test_a_case_holds_what_it_is_said_to_show() -> None:
    wrong = [f"{case.name}: {rule} {what}" for case, rule, what in SHOWN if not _holds(case, rule, what)]
    assert not wrong


def _holds(case: Case, rule: str, situation: str) -> bool:
    key = rule.replace(".", "|") + "|"
    told = [row for name in ("expected", "expected_among") for row in _rows(case.content.get(name))]
    mine = [row for row in told if str(row.get("business_key", "")).startswith(key)]
    if situation == "capped":
        return any(row.get("reason") in _CAPS for row in mine)
    if situation == "corrected":
        return any(row["business_key"].startswith(key) for row in case.rows("ledger_positions"))
    if situation == "refunded":
        return any(
            row.get("refund_fen") or row.get("event_type") == "refunded"
            for row in _rows(case.content["inputs"])
        )
    if situation == "late":
        return any(
            _is_late(case, name, row)
            for name in ("state_changes", "core_payments")
            for row in case.rows(name)
        )
    # A case of one rule needs no key to tell its lots apart.
    return bool(mine) or (situation == "earns" and bool(case.content["expected"].get("ledger_lots")))


def _is_late(case: Case, name: str, row: dict[str, Any]) -> bool:
    """Whether a row came later than the close of its own day."""
    if name == "state_changes":
        return bool(row["business_date"] < case.day)
    return bool(row["delivery_date"] > row["business_date"] + timedelta(days=1))


def _rows(tables: dict[str, list[dict[str, Any]]] | None) -> Iterator[dict[str, Any]]:
    for rows in (tables or {}).values():
        yield from rows
