"""What a full demo is held to: every reason of every programme is declared, and what is missing is named."""

import pytest

from ccare.demo_outcomes import CUT, NOT_SHOWN, SHOWN, not_seen, reasons_of
from ccare.exports.summary_data import Outcome
from ccare.ledger.policy import load_ledger
from ccare.runtime.settings import default_conf


@pytest.fixture(scope="module")
def programmes():
    return load_ledger(default_conf() / "demo").programmes_file.programmes


def test_every_reason_of_every_demo_programme_is_shown_or_told_why_not(programmes):
    named = {p.name for p in programmes}
    assert set(SHOWN) == named >= set(NOT_SHOWN) and len(named) == 6
    for name in named:
        reasons = set().union(*(reasons_of(p) for p in programmes if p.name == name))
        shown, told = set(SHOWN[name]), set(NOT_SHOWN.get(name, {}))
        assert shown | told == reasons and not shown & told, name
        assert shown & CUT, f"{name} is cut by a cap or a pool"


def test_what_is_missing_is_named(programmes):
    def outcome(programme, rule, name):
        return Outcome(programme, rule, "POINT", name, 1, 1, "")

    rules = {(p.name, rule.name) for p in programmes for rule in p.rules}
    seen = [outcome(*rule, "granted") for rule in rules]
    seen += [outcome(name, "x", reason) for name, reasons in SHOWN.items() for reason in reasons]
    assert not_seen(seen, programmes) == []
    lacking = [
        o
        for o in seen
        if (o.programme, o.outcome) != ("luoma", "terminal_cap")
        and (o.rule, o.outcome) != ("fee_rebate", "granted")
    ]
    assert not_seen(lacking, programmes) == ["resource_pack fee_rebate: granted", "luoma: terminal_cap"]
