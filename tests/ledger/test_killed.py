"""SIGKILL at every named place of a ledger's close: what runs after it ends in the digest of a run never killed."""

import random
import re
import shutil
import signal
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from books_lake import LAST, as_tables, closed_books, d
from closes import copied

from ccare.runtime import deltalog, manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.lease import read_record
from ccare.runtime.verify import verify_lake

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
LEDGER = (
    *("transfers", "positions", "lots", "balances", "requests", "allocations"),
    *("adjustments", "refusals", "promotions"),
)
WRITES = tuple(f"ledger_{name}.{at}" for name in LEDGER for at in ("committing", "committed", "recorded"))
BEFORE = (
    "staging.building",
    *(f"ledger_{name}.staged" for name in ("transfers", "balances", "requests", "refusals")),
    "staging.written",
)
AFTER = (
    *("staging.recorded", *WRITES, "staging.discarded", "post.done", "manifest.checking"),
    *("manifest.appending", "manifest.appended", "head.written", "record.cleared"),
)
PLACES = (*BEFORE, *AFTER)
LARGE_BEFORE = ("ledger_transfers.staged", "staging.written")
LARGE_AFTER = tuple(
    f"ledger_{name}.{at}" for name in ("positions", "lots", "balances") for at in ("committing", "committed")
)
PUBLISHED = ("manifest.appended", "head.written", "record.cleared")
SEED = 20260225


@pytest.fixture(scope="module")
def golden(closes, opened, tmp_path_factory):
    """The close that nobody killed, checked against the reference ledger."""
    settings = copied(opened, tmp_path_factory.mktemp("golden") / "lake")
    done = closes.close(settings)
    assert done["status"] == 0, done["said"]
    assert verify_lake(settings, print).ok
    for name in LEDGER:
        assert deltalog.rows(settings.lake, f"ledger_{name}"), f"nothing of ledger_{name} is there to be lost"
    wanted = as_tables(closed_books())
    for name in ("ledger_transfers", "ledger_lots"):
        key = "transfer_id" if name == "ledger_transfers" else "lot_id"
        found = {row[key]: row for row in deltalog.rows(settings.lake, name)}
        assert found.keys() == {row[key] for row in wanted[name]}, name
        for row in wanted[name]:
            kept = {k: v for k, v in row.items() if k != "run_id"}
            assert {k: found[row[key]][k] for k in kept} == kept
    return lake_digest(settings)["digest"]


def unpublished(settings):
    """Whether the open run is not in the manifest yet: once it is, asking again would tell the day anew."""
    record = read_record(settings.lake)
    return record is not None and record.run_id not in {r.run_id for r in manifest.published(settings.lake)}


def killed_at(closes, settings, *places, large=False):
    """Close the day, killed at each of ``places`` in turn, then to its end.

    The first place kills for certain, and so does each that is further on than those before it.
    """
    furthest = -1
    for place in places:
        if furthest >= 0 and not unpublished(settings):
            break
        done = closes.close(settings, place, large=large)
        if done["status"] == 0:
            assert PLACES.index(place) <= furthest, f"{place} was not reached, so nothing was killed there"
            break  # an earlier kill was beyond this place
        furthest = max(furthest, PLACES.index(place))
        assert done["status"] == -signal.SIGKILL, f"{place}: {done}"
        reached = manifest.published(settings.lake)[-1].business_date
        assert reached == (LAST if place in PUBLISHED else d(4)), f"{place}: readers see {reached}"
    if unpublished(settings):
        done = closes.close(settings, large=large)
        assert done["status"] == 0, f"after {places}: {done['said']}"


def test_there_are_enough_places_and_each_is_named_in_the_code():
    assert len(PLACES) >= 20
    text = "".join(path.read_text() for path in (ROOT / "ccare" / "runtime").glob("*.py"))
    named = set(re.findall(r'reach\(f?"([^"]+)"\)', text))
    for place in PLACES:
        forms = {place, re.sub(r"^\w+\.", "{name}.", place), re.sub(r"^\w+\.", "{step}.", place)}
        assert named & forms, place


@pytest.mark.parametrize("place", BEFORE)
def test_killed_before_the_postings_are_staged(closes, opened, golden, tmp_path, place):
    settings = copied(opened, tmp_path / "lake")
    killed_at(closes, settings, place)
    assert lake_digest(settings)["digest"] == golden


@pytest.mark.parametrize("place", AFTER[1:])
def test_killed_after_the_postings_are_staged(closes, staged, golden, tmp_path, place):
    settings = copied(staged, tmp_path / "lake")
    killed_at(closes, settings, place)
    assert lake_digest(settings)["digest"] == golden


@pytest.mark.parametrize("place", [*LARGE_BEFORE, None])
def test_killed_over_large_books(closes, opened, golden, tmp_path, place):
    """Of which only the rows that change are staged and merged: the same books come out."""
    settings = copied(opened, tmp_path / "lake")
    if place:
        killed_at(closes, settings, place, large=True)
    else:
        assert closes.close(settings, large=True)["status"] == 0
    assert lake_digest(settings)["digest"] == golden


@pytest.fixture(scope="module")
def staged_large(closes, opened, tmp_path_factory):
    """Large books killed where their postings are staged; tests copy it."""
    settings = copied(opened, tmp_path_factory.mktemp("staged_large") / "lake")
    assert closes.close(settings, "staging.recorded", large=True)["status"] == -signal.SIGKILL
    return settings


@pytest.mark.parametrize("place", ["staging.recorded", *LARGE_AFTER])
def test_killed_over_large_books_that_are_staged(closes, staged_large, golden, tmp_path, place):
    settings = copied(staged_large, tmp_path / "lake")
    assert unpublished(settings)
    killed_at(closes, settings, *([] if place == "staging.recorded" else [place]), large=True)
    assert lake_digest(settings)["digest"] == golden


def pairs():
    """Every pair of places of one run, the earlier one first or the later."""
    return [pair for two in combinations(AFTER[1:], 2) for pair in (two, two[::-1])]


def chosen(config):
    """Twelve pairs drawn by a fixed seed; all of them with --all-pairs (make torture)."""
    found = pairs()
    return found if config.getoption("--all-pairs") else random.Random(SEED).sample(found, 12)


def test_killed_twice(closes, staged, golden, tmp_path, pytestconfig):
    for number, pair in enumerate(chosen(pytestconfig)):
        settings = copied(staged, tmp_path / f"lake{number}")
        killed_at(closes, settings, *pair)
        assert lake_digest(settings)["digest"] == golden, f"seed {SEED}: {pair}"
        shutil.rmtree(settings.lake.parent)


def test_late_files_do_not_change_postings_that_are_staged(closes, staged, golden, tmp_path):
    """Postings that were merged and not published go on unchanged; what came later is the next close's."""
    from books_lake import filled

    from ccare.runtime.rowstore import write_rows
    from ccare.tables import table

    settings = copied(staged, tmp_path / "lake")
    assert closes.close(settings, "ledger_lots.recorded")["status"] == -signal.SIGKILL
    before = deltalog.latest_version(settings.lake, "score_merchants")
    late = filled("score_merchants", {"merchant_id": "a", "as_of_date": LAST, "total_score": 99.0})
    write_rows(settings.lake, table("score_merchants"), [late], "late", replaced=[LAST])
    assert deltalog.latest_version(settings.lake, "score_merchants") > before
    done = closes.close(settings)
    assert done["status"] == 0, done["said"]
    assert lake_digest(settings)["digest"] == golden


def test_two_processes_cannot_close_one_day_at_once(closes, opened, tmp_path):
    settings = copied(opened, tmp_path / "lake")
    hold = "import sys,time;from pathlib import Path;from ccare.runtime.lease import lease\n"
    hold += "with lease(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", hold, str(settings.lake)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert holder.stdout.readline().strip() == "held"
        done = closes.close(settings)
        assert done["status"] == 3 and "Another run holds the lake" in done["said"]
    finally:
        holder.kill()
        holder.wait()
    assert closes.close(settings)["status"] == 0
