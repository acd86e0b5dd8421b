"""The campaign that docs/how-to/add-a-programme.md adds: its blocks are read off the page, checked and closed."""

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ccare.ledger.policy import LedgerPolicies, load_ledger
from ccare.runtime.settings import default_conf
from tests.case_runner import Case, run_case

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-programme.md"
DAY = date(2026, 3, 31)


@pytest.fixture(scope="module")
def conf(tmp_path_factory) -> Path:
    """The packaged policy with the page's two blocks appended, as the page says."""
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    folder = tmp_path_factory.mktemp("conf")
    assert len(blocks) == 2
    for name, block in zip(("programmes.toml", "funding.toml"), blocks, strict=True):
        packaged = (default_conf() / name).read_text(encoding="utf-8")
        (folder / name).write_text(f"{packaged}\n{block}", encoding="utf-8")
    return folder


@dataclass(frozen=True)
class PageCase(Case):
    """A case that is closed under the page's policy."""

    conf: Path = field(default_factory=Path)

    def _ledger(self) -> LedgerPolicies:
        return load_ledger(self.conf)


def test_it_is_one_more_programme_in_force_in_march(conf):
    policies = load_ledger(conf)
    added = {p.name for p in policies.for_day(DAY).programmes if p.covers(DAY)}
    packaged = {p.name for p in load_ledger(default_conf()).for_day(DAY).programmes if p.covers(DAY)}
    assert added - packaged == {"spring"}
    assert not any(
        p.covers(date(2026, 4, 1)) for p in policies.programmes_file.programmes if p.name == "spring"
    )


def test_it_earns_on_its_last_day_without_a_line_of_code(books_spark, conf):
    paid = {"orders": 1, "active_events": 1}
    days: list[dict[str, Any]] = [
        {"merchant_id": "cafe", "user_key": "u", "business_date": "d-30", **paid},
        {"merchant_id": "cafe", "user_key": "u", "business_date": "d", **paid, "tasks": [2]},
        {"merchant_id": "cafe", "user_key": "v", "business_date": "d-31", **paid},
        {"merchant_id": "cafe", "user_key": "v", "business_date": "d", **paid},
        {"merchant_id": "salon", "user_key": "u", "business_date": "d", "active_events": 1, "tasks": [2]},
    ]
    record = {"valid_from": date(2026, 1, 1), "own_brand": False, "taken_on": date(2026, 1, 1)}
    content = {
        "why": "the page's campaign",
        "day": DAY,
        "first_day": date(2026, 1, 1),
        "inputs": {
            "core_merchants": [
                {"merchant_id": "cafe", "industry": "catering", **record},
                {"merchant_id": "salon", "industry": "beauty", **record},
            ],
            "state_user_days": days,
            "state_changes": [row for row in days if row["business_date"] == "d"],
        },
        "expected_among": {
            "ledger_lots": [
                {"business_key": "spring|came_back|cafe|2026-03-31", "amount": 4, "expires_on": "d+67"},
                {"business_key": "spring|private_day|cafe|2026-03-31", "amount": 1},
            ],
            "ledger_balances": [{"account": "pool:spring:available", "asset": "POINT", "balance": 999_995}],
            "ledger_refusals": [
                {
                    "business_key": "spring|private_day|salon|2026-03-31",
                    "reason": "industry_not_admitted",
                    "amount": 1,
                }
            ],
        },
    }
    run_case(books_spark, PageCase("ledger_transfers", "spring", content, conf))
