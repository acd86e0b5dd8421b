"""What was done to a lake behind our back is refused by the next close, by name, before anything is written."""

import os
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from books_lake import LAST, copied, write_lake
from deltalake import DeltaTable, write_deltalake

from ccare.errors import IntegrityBroken
from ccare.runtime import deltalog, manifest
from ccare.runtime.close_days import close_days
from ccare.runtime.lease import read_record
from ccare.runtime.opening import require_sound
from ccare.runtime.rowstore import roll_back, write_arrow
from ccare.tables import table


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("books"), closed=5)


@pytest.fixture
def books(closed, tmp_path):
    """Five days published and the sixth open, before its post step: a lake of the test's own."""
    return copied(closed, tmp_path)


def data_file(lake, name):
    return Path(deltalog.data_files(lake, name, manifest.latest(lake).table_versions[name])[0])


def vacuum(lake, name):
    """The open run has written the table anew; a VACUUM without retention then takes the published files."""
    rows = DeltaTable(str(lake / name)).to_pyarrow_table()
    write_arrow(lake, table(name), rows, read_record(lake).run_id, "overwrite")
    gone = DeltaTable(str(lake / name)).vacuum(
        retention_hours=0, enforce_retention_duration=False, dry_run=False
    )
    assert len(gone) == 1


def delete_file(lake, name):
    data_file(lake, name).unlink()


def restore(lake, name):
    DeltaTable(str(lake / name)).restore(0)


def property_off(lake, name):
    DeltaTable(str(lake / name)).alter.set_table_properties({"delta.appendOnly": "false"})


def property_off_and_on(lake, name):
    property_off(lake, name)
    DeltaTable(str(lake / name)).alter.set_table_properties({"delta.appendOnly": "true"})


def append(lake, name):
    rows = DeltaTable(str(lake / name)).to_pyarrow_table()
    write_deltalake(str(lake / name), rows.slice(0, 1), mode="append")


def edit(change):
    """A data file written again by a tool, as long as before: its rows changed by ``change``."""

    def done(lake, name):
        path = data_file(lake, name)
        rows, size = pq.read_table(path), path.stat().st_size
        changed = pa.Table.from_pylist(change(rows.to_pylist()), schema=rows.schema)
        pq.write_table(changed, path, compression="zstd", write_statistics=False, store_schema=False)
        new = path.read_bytes()
        footer = len(new) - 8 - int.from_bytes(new[-8:-4], "little")
        assert len(new) <= size
        path.write_bytes(new[:footer] + bytes(size - len(new)) + new[footer:])
        later = time.time() + 60
        os.utime(path, (later, later))

    return done


def lengthen(lake, name):
    data_file(lake, name).write_bytes(data_file(lake, name).read_bytes() + b"x")


def first_balance_up(rows):
    return [rows[0] | {"balance": rows[0]["balance"] + 1}, *rows[1:]]


@pytest.mark.parametrize(
    ("done", "name", "said"),
    [
        (vacuum, "ledger_lots", "it has lost 1 data file"),
        (delete_file, "state_user_days", "it has lost 1 data file"),
        (lengthen, "core_payments", "it has lost 1 data file"),
        (edit(first_balance_up), "ledger_balances", "ledger_balances.balance is 1, 0 was published"),
        (edit(lambda rows: rows[1:]), "ledger_positions", "rows, not"),
        (restore, "ledger_balances", "is a RESTORE that no run"),
        (restore, "ledger_transfers", "is a RESTORE that no run"),
        (property_off, "ledger_transfers", "is a SET TBLPROPERTIES that no run"),
        (property_off_and_on, "ledger_transfers", "is a SET TBLPROPERTIES that no run"),
        (append, "ledger_transfers", "is a WRITE that no run"),
        (append, "score_merchants", "is a WRITE that no run"),
        (property_off, "run_manifest", "is a SET TBLPROPERTIES that no run"),
    ],
    ids=[
        *("VACUUM", "a file gone", "a file longer", "an amount edited", "rows edited out", "RESTORE"),
        *("RESTORE of transfers", "property off", "property off and on", "transfers appended"),
        *("scores appended", "manifest property off"),
    ],
)  # fmt: skip
def test_a_close_refuses_by_30_and_name_before_it_writes(books, done, name, said):
    done(books.lake, name)
    before = everything(books.lake)
    with pytest.raises(IntegrityBroken) as caught:
        close_days(books, LAST, LAST, said=lambda line: None, from_step="post", to_step="publish")
    assert caught.value.exit_code == 30
    assert (
        f"Table {name} is not what was published: " in caught.value.message and said in caught.value.message
    )
    assert everything(books.lake) == before


def everything(lake):
    """Every file of the lake with its bytes' length and its time, but for the lease that each process takes."""
    found = (path for path in lake.rglob("*") if path.is_file() and path.name != "_lease.lock")
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def test_a_copy_that_kept_no_times_is_sound(books):
    later = time.time() + 3600
    for path in books.lake.rglob("*.parquet"):
        os.utime(path, (later, later))
    require_sound(books.lake, manifest.latest(books.lake))


def test_what_a_run_that_was_cut_off_left_is_no_stranger_s(books):
    name = "ledger_lots"
    before = deltalog.latest_version(books.lake, name)
    rows = DeltaTable(str(books.lake / name)).to_pyarrow_table()
    write_arrow(books.lake, table(name), rows, "a run before", "overwrite")
    roll_back(books.lake, name, before, "the run after it")
    DeltaTable(str(books.lake / name)).optimize.compact()
    require_sound(books.lake, manifest.latest(books.lake))


def test_the_steps_of_the_recovery_page_bring_the_lake_back(books):
    """As docs/how-to/recover.md has them: commits from the refused one on are moved aside, and nothing else."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "recover.md").read_text(
        encoding="utf-8"
    )
    steps = page.split("    mkdir -p $L/_lost/$X\n")[1].split("    mv $L/$X/_delta_log/_last_checkpoint")[0]
    for name, done in (("ledger_balances", restore), ("ledger_transfers", property_off_and_on)):
        first = manifest.latest(books.lake).table_versions[name] + 1
        done(books.lake, name)
        with pytest.raises(IntegrityBroken, match=f"Table {name} .* its commit {first} is"):
            require_sound(books.lake, manifest.latest(books.lake))
        told = f"L={books.lake} X={name} N={first}; mkdir -p $L/_lost/$X\n{steps}"
        subprocess.run(["bash", "-c", told], check=False)
        require_sound(books.lake, manifest.latest(books.lake))
        assert len(list((books.lake / "_lost" / name).iterdir())) == (1 if done is restore else 2)
