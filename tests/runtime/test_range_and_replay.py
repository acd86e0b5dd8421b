"""A range is its days one by one and a replay from genesis the first time: days when everything happens to points."""

import shutil
from collections import Counter
from typing import Any

import pytest

from ccare.runtime import deltalog, manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from ccare.tables import REGISTRY, WriteStyle
from ccare.tables.ledger import CODES
from tests.runtime.eventful_days import DAYS, SPENT, deliver, write_policy
from tests.runtime.test_closing import ROOT, close, settings_in

pytestmark = [pytest.mark.spark, pytest.mark.slow]
LEDGER = sorted(
    name
    for name, declared in REGISTRY.items()
    if name.startswith("ledger_") and declared.write is not WriteStyle.TRANSIENT
)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def one_by_one(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Nine days, each closed as soon as its deliveries have landed."""
    root = tmp_path_factory.mktemp("one_by_one")
    write_policy(root / "conf", ROOT / "conf" / "demo")
    settings = settings_in(root).with_(conf=root / "conf")
    for n, day in enumerate(DAYS):
        deliver(settings, n)
        close(settings, day)
    return settings


@pytest.fixture(scope="module")
def replayed(one_by_one: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A new lake that takes the whole landing at once, as one range."""
    root = tmp_path_factory.mktemp("replayed")
    shutil.copytree(one_by_one.landing, root / "landing")
    settings = settings_in(root).with_(conf=one_by_one.conf)
    close(settings, DAYS[0], DAYS[-1])
    return settings


def rows_of(settings: Settings, name: str) -> Counter[str]:
    """Rows of a table without what a replay may change."""
    if deltalog.latest_version(settings.lake, name) is None:
        return Counter()
    return Counter(
        str([row[column] for column in REGISTRY[name].durable_columns])
        for row in deltalog.rows(settings.lake, name)
    )


def booked(settings: Settings, merchant: str, *codes: str) -> list[tuple[int, str, str]]:
    """(day, code, programme) of a merchant's points, in order."""
    rows = deltalog.rows(settings.lake, "ledger_transfers")
    return sorted(
        {
            ((row["booked_date"] - DAYS[0]).days, row["code"], row["programme"])
            for row in rows
            if row["merchant_id"] == merchant and row["asset"] == "POINT" and row["code"] in codes
        }
    )


def amount(settings: Settings, merchant: str, code: str, debit: str = "") -> int:
    return sum(
        row["amount"]
        for row in deltalog.rows(settings.lake, "ledger_transfers")
        if (row["merchant_id"], row["code"], row["asset"]) == (merchant, code, "POINT")
        and row["debit_account"].endswith(debit)
    )


def test_everything_happened(one_by_one: Settings) -> None:
    """Without this the next test would compare nothing."""
    lake = one_by_one.lake
    codes = Counter(row["code"] for row in deltalog.rows(lake, "ledger_transfers"))
    assert codes.keys() == set(CODES)
    requests = {row["request_id"]: row for row in deltalog.rows(lake, "ledger_requests")}
    assert {n: (row["status"], row["refusal"]) for n, row in requests.items()} == {
        **{"r1": ("settled", None), "r2": ("settled", None), "r3": ("refused", "insufficient")}
    }
    assert (requests["r2"]["settled"], requests["r2"]["voided"]) == (15, 15), "half of it was delivered"
    assert [row["status"] for row in deltalog.rows(lake, "ledger_adjustments")] == ["booked"]
    funds = {
        row["business_key"]: row["booked_date"]
        for row in deltalog.rows(lake, "ledger_transfers")
        if row["code"] == "fund"
    }
    assert funds["funding|p|F-1"] == DAYS[3], "the close that found it approved"


def test_spent_points_are_owed_and_paid_by_what_matures_next(one_by_one: Settings) -> None:
    assert amount(one_by_one, "h1", "settle") == amount(one_by_one, "h1", "debt") == SPENT
    assert {day for day, *_ in booked(one_by_one, "h1", "debt")} == {3}
    assert {day for day, *_ in booked(one_by_one, "h1", "repay")} == {5}
    owed = SPENT - amount(one_by_one, "h1", "repay", ":active")
    balances = {r["account"]: r["balance"] for r in deltalog.rows(one_by_one.lake, "ledger_balances")}
    assert balances.get("merchant:h1:debt", 0) == -owed


def test_a_late_file_earns_what_expires_at_once_and_its_refund_takes_nothing(one_by_one: Settings) -> None:
    found = booked(one_by_one, "h3", "earn", "activate", "expire", "fall", "debt")
    assert {(day, code) for day, code, _ in found} == {(4, "earn"), (5, "activate"), (5, "expire")}
    keys = [r for r in deltalog.rows(one_by_one.lake, "ledger_positions") if r["merchant_id"] == "h3"]
    assert len(keys) == 2 and all((r["asked"], r["net"], r["debt"]) == (0, 0, 0) for r in keys)
    assert all(r["lapsed"] == r["granted"] > 0 for r in keys), "refunded after they had expired unused"


def test_what_falls_goes_back_to_the_pool_that_granted_it(one_by_one: Settings) -> None:
    pools = {"f": "pool:p", "g": "pool:q"}
    rows = deltalog.rows(one_by_one.lake, "ledger_transfers")
    taken = [row for row in rows if row["code"] in ("fall", "debt", "repay")]
    assert {row["programme"] for row in taken if row["code"] == "fall"} == set(pools)
    for row in taken:
        sides = [row["credit_account"], row["debit_account"]]
        (pool,) = (side for side in sides if side.startswith("pool:"))
        assert pool.rpartition(":")[0] == pools[row["programme"]]
    lots = {row["lot_id"]: row["pool"] for row in deltalog.rows(one_by_one.lake, "ledger_lots")}
    crossed = [r for r in taken if r["lot_id"] and f"pool:{lots[r['lot_id']]}" != pools[r["programme"]]]
    assert crossed, "a key whose own lots do not suffice takes what the other programme granted"


@pytest.mark.parametrize("name", LEDGER)
def test_a_replay_from_genesis_gives_the_same_rows(
    one_by_one: Settings, replayed: Settings, name: str
) -> None:
    first, again = rows_of(one_by_one, name), rows_of(replayed, name)
    assert again - first == first - again == Counter()


def test_a_range_is_its_days_one_by_one(one_by_one: Settings, replayed: Settings) -> None:
    assert lake_digest(replayed)["tables"] == lake_digest(one_by_one)["tables"]
    runs = [[row.business_date for row in manifest.published(s.lake)] for s in (one_by_one, replayed)]
    assert runs == [DAYS, DAYS]
    for settings in (one_by_one, replayed):
        verified = verify_lake(settings, lambda line: None)
        assert verified.ok, [check for check in verified.checks if not check.ok]
