"""What a close refuses to post or to publish: exit 30 and the law's name, and readers see the day before."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from books_lake import LAST, d, filled
from closes import copied
from deltalake import CommitProperties, write_deltalake

from ccare.runtime import deltalog, manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.lease import read_record
from ccare.runtime.rowstore import arrow_schema
from ccare.runtime.staging import staging_dir
from ccare.tables import table

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def refused(closes, settings, *said, status=30, steps="post,publish"):
    """The close ends by ``status`` with all of ``said``, and what is published is as it was."""
    before, digest = manifest.published(settings.lake), lake_digest(settings)
    done = closes.close(settings, steps=steps)
    assert done["status"] == status, done
    for each in said:
        assert each in done["said"], done
    assert manifest.published(settings.lake) == before and lake_digest(settings) == digest


def edit_staging(settings, name, change):
    """Every row of a staged table changed, as a disk or a person might."""
    folder = staging_dir(settings.lake, read_record(settings.lake).run_id) / name
    for path in folder.glob("*.parquet"):
        rows = pq.read_table(path)
        changed = [new for row in rows.to_pylist() if (new := change(row)) is not None]
        pq.write_table(pa.Table.from_pylist(changed, schema=rows.schema), path)
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("ledger_transfers", lambda r: r | {"amount": r["amount"] + (r["code"] == "earn")}, "breaks L3"),
        ("ledger_transfers", lambda r: None if r["code"] == "reserve" else r, "breaks L8"),
        (
            "ledger_balances",
            lambda r: r | {"balance": r["balance"] + (r["account"] == "pool:p:available")},
            "breaks L1",
        ),
        ("ledger_balances", lambda r: r | {"credits": r["credits"] + 1}, "breaks L12"),
        ("ledger_lots", lambda r: None if r["merchant_id"] == "a" else r, "breaks L7"),
        ("ledger_lots", lambda r: r | {"taken": r["taken"] + 1, "amount": r["amount"] + 1}, "breaks L12"),
    ],
    ids=["an amount", "a transfer lost", "a balance", "credits", "lots lost", "lots changed"],
)
def test_a_staging_that_was_corrupted_is_not_posted(closes, staged, tmp_path, name, change, said):
    settings = copied(staged, tmp_path / "lake")
    edit_staging(settings, name, change)
    versions = {n: deltalog.latest_version(settings.lake, n) for n in ("ledger_transfers", "ledger_lots")}
    refused(closes, settings, said)
    assert {n: deltalog.latest_version(settings.lake, n) for n in versions} == versions, "nothing was merged"


def append(settings, **signed):
    """A transfer that no close has booked, written as another program would."""
    declared = table("ledger_transfers")
    row = {"transfer_id": "e" * 64, "content_hash": "f" * 64, "amount": 5, "booked_date": LAST}
    row = dict.fromkeys(declared.column_names) | filled(declared.name, row)
    write_deltalake(
        str(settings.lake / declared.name),
        pa.Table.from_pylist([row], schema=arrow_schema(declared)),
        mode="append",
        commit_properties=CommitProperties(custom_metadata=signed) if signed else None,
    )


def test_a_foreign_append_between_staging_and_post_is_named(closes, staged, tmp_path):
    settings = copied(staged, tmp_path / "lake")
    append(settings)
    refused(closes, settings, "ledger_transfers", "is a WRITE that no run here answers for")


def test_a_foreign_append_in_the_run_s_own_name_is_not_published(closes, staged, tmp_path):
    settings = copied(staged, tmp_path / "lake")
    append(settings, userMetadata=read_record(settings.lake).run_id)
    refused(closes, settings, "ledger_transfers", "L2: ")
    refused(closes, settings, "ledger_transfers", "L2: ", steps="publish")


def publish_another(settings):
    """A row of a run that was published in between, with the tables as they were."""
    last = manifest.latest(settings.lake)
    same = (
        "business_date",
        "table_versions",
        "control_totals",
        "code_version",
        "policy_version",
        "published_at",
    )
    told = {name: getattr(last, name) for name in same}
    manifest.append(
        settings.lake, last, run_id="other", revision=1, kind="republish", inputs_digest="", **told
    )


def test_a_run_that_another_was_published_since_may_not_publish(closes, staged, tmp_path):
    settings = copied(staged, tmp_path / "lake")
    publish_another(settings)
    refused(
        closes, settings, "LeaseLost", "opened as number 6, and other was published as number 6", status=3
    )


def test_a_run_that_has_staged_nothing_starts_again_on_what_was_published_since(closes, opened, tmp_path):
    settings = copied(opened, tmp_path / "lake")
    record = read_record(settings.lake)
    assert (record.epoch, record.day) == (6, LAST) and manifest.latest(settings.lake).business_date == d(4)
    publish_another(settings)
    refused(closes, settings, "needs ingest, which is not done", status=2)
    assert read_record(settings.lake).epoch == 7


def test_an_approval_that_was_edited_after_it_was_booked_is_named_field_by_field(closes, opened, tmp_path):
    settings = copied(opened, tmp_path / "lake")
    path = settings.conf / "funding.toml"
    path.write_text(path.read_text().replace("amount = 100000\n", "amount = 100001\n"))
    refused(
        closes,
        settings,
        "Transfer ",
        "amount is 100000 there and 100001 now",
        "booked_date is 2026-02-25 there",
    )
    assert not read_record(settings.lake).staged
    path.write_text(path.read_text().replace("amount = 100001\n", "amount = 100000\n"))
    assert closes.close(settings)["status"] == 0, "put back, the day goes on"
