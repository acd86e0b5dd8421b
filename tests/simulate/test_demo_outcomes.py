"""What a full demo is held to: every reason of every programme is declared, and what is missing is named."""

from datetime import date, timedelta

import pytest

from ccare.demo_outcomes import CUT, SHOWN, not_seen, reasons_of
from ccare.exports.summary_data import Outcome
from ccare.ledger.months import told_months
from ccare.ledger.policy import load_ledger
from ccare.ledger.rules import Monthly
from ccare.runtime.settings import default_conf

ENDS = [date(2004 + n // 12, n % 12 + 1, 1) - timedelta(days=1) for n in range(60)]


@pytest.fixture(scope="module")
def programmes():
    return load_ledger(default_conf() / "demo").programmes_file.programmes


def test_every_reason_of_every_demo_programme_is_shown(programmes):
    named = {p.name for p in programmes}
    assert set(SHOWN) == named and len(named) == 6
    for name in named:
        reasons = set().union(*(reasons_of(p) for p in programmes if p.name == name))
        assert set(SHOWN[name]) == reasons, name
        assert reasons & CUT, f"{name} is cut by a cap or a pool"


@pytest.mark.parametrize("conf", ["", "demo"])
def test_a_month_is_too_late_only_where_its_grants_lapse_before_it_is_told_for_the_last_time(conf):
    policy = load_ledger(default_conf() / conf).programmes_file.programmes
    monthly = [p for p in policy if any(isinstance(rule, Monthly) for rule in p.rules)]
    assert {p.name for p in monthly} == {"chengfeng", "resource_pack"}
    for programme in monthly:
        months = max(rule.told_again for rule in programme.rules)
        last = [told_months(end, date(2000, 1, 1), months)[-1] for end in ENDS]
        latest = max((end - first).days for end, first in zip(ENDS, last))
        assert latest <= max(rule.most_days_late for rule in programme.rules) <= latest + months
        assert "too_late" not in reasons_of(programme)
        brief = programme.model_copy(update={"expiry_days": latest - 1})
        assert "too_late" in reasons_of(brief)


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
