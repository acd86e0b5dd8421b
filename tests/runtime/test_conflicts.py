"""One id told with two contents through real closes: which row stays is said by dates and digests, never by chance."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from ccare.runtime import deltalog, ingest
from ccare.runtime.settings import Settings
from tests.runtime.test_closing import close, settings_in
from tests.small_landing import FIRST

pytestmark = [pytest.mark.spark, pytest.mark.slow]

NEXT = FIRST + timedelta(days=1)
TABLE = "core_mini_program_events"
CONTENTS = {"one": "1005", "other": "1011"}
"""Two contents by the scene that they differ in."""
TOLD: dict[str, list[tuple[date, str, str, str]]] = {
    "by date": [(FIRST, "b", "one", "stays"), (NEXT, "a", "other", "conflict")],
    "by date turned": [(FIRST, "b", "other", "stays"), (NEXT, "a", "one", "conflict")],
    "by digest": [(NEXT, "a", "one", "smaller"), (NEXT, "b", "other", "smaller")],
    "by digest turned": [(NEXT, "a", "other", "smaller"), (NEXT, "b", "one", "smaller")],
}
"""Deliveries that one close takes: folder's date, file, content, and what becomes of it."""
TOLD_AGAIN: dict[str, list[tuple[date, str, str, str]]] = {
    "published": [(NEXT, "a", "one", "stays"), (NEXT + timedelta(days=1), "c", "other", "conflict")],
    "published turned": [(NEXT, "a", "other", "stays"), (NEXT + timedelta(days=1), "c", "one", "conflict")],
    "older folder": [(NEXT, "a", "one", "stays"), (FIRST, "late", "other", "conflict")],
    "older folder turned": [(NEXT, "a", "other", "stays"), (FIRST, "late", "one", "conflict")],
    "the same again": [(NEXT, "a", "one", "stays"), (FIRST, "late", "one", "duplicate")],
}
"""The same, where the first close takes the first of each and the second close the other."""


def event(name: str, content: str) -> str:
    told = {"event_id": name.replace(" ", "-"), "event_type": "launch", "scene": CONTENTS[content]}
    return (
        json.dumps({**told, "merchant_id": "m1", "user_id": "u-1", "occurred_at": f"{FIRST}T01:00:00Z"})
        + "\n"
    )


def deliver(settings: Settings, rows: list[tuple[date, str, str]]) -> None:
    """Put each (folder's date, file, line) where it belongs."""
    files: dict[tuple[date, str], str] = {}
    for day, name, line in rows:
        files[day, name] = files.get((day, name), "") + line
    for (day, name), text in files.items():
        (settings.landing / "mini_program" / str(day) / f"{name}.jsonl").write_text(text)


def complete(settings: Settings, day: date) -> None:
    for stream in ("payments", "mini_program", "life_account"):
        (settings.landing / stream / str(day)).mkdir(parents=True)


@pytest.fixture(scope="module", params=[False, True], ids=["small", "bulk"])
def closed(request: pytest.FixtureRequest, spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("conflicts"))
    for day in (FIRST, NEXT):
        complete(settings, day)
    merchant = {"merchant_id": "m1", "name": "Tea House", "industry": "catering", "own_brand": False}
    path = settings.landing / "merchants" / str(NEXT) / "merchants.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**merchant, "joined_on": "2025-01-01", "valid_from": "2025-01-01"}) + "\n")
    rows = [
        (day, file, event(name, content)) for name, told in TOLD.items() for day, file, content, _ in told
    ]
    rows += [(NEXT, "a", event(name, told[0][2])) for name, told in TOLD_AGAIN.items()]
    rows += [(NEXT, "b", event(f"only {content}", content)) for content in CONTENTS]
    deliver(settings, rows)
    with pytest.MonkeyPatch.context() as patched:
        if request.param:
            patched.setattr(ingest, "SMALL_LINES", 0)
        close(settings, FIRST)
        complete(settings, NEXT + timedelta(days=1))
        again = ((name, *told[1][:3]) for name, told in TOLD_AGAIN.items())
        deliver(settings, [(day, file, event(name, content)) for name, day, file, content in again])
        close(settings, NEXT)
    return settings


def kept(settings: Settings) -> dict[str, tuple[str, str]]:
    """event id -> scene and content hash of the row that stands."""
    rows = deltalog.rows(settings.lake, TABLE)
    found = {row["event_id"].replace("-", " "): (row["scene"], row["content_hash"]) for row in rows}
    assert len(found) == len(rows), "one row for each id"
    return found


def test_of_two_contents_of_one_id_that_of_the_earliest_delivery_then_the_smallest_digest_stays(
    closed: Settings,
) -> None:
    found = kept(closed)
    smaller = min(CONTENTS, key=lambda content: found[f"only {content}"][1])
    for name, told in (TOLD | TOLD_AGAIN).items():
        wanted = next((content for *_, content, fate in told if fate == "stays"), smaller)
        assert found[name][0] == CONTENTS[wanted], name
    assert found.keys() == {*TOLD, *TOLD_AGAIN, *(f"only {content}" for content in CONTENTS)}


def test_the_other_one_is_refused_by_name_and_the_same_again_is_a_duplicate(closed: Settings) -> None:
    refused = deltalog.rows(closed.lake, "core_rejected_events")
    named = sorted(json.loads(row["payload"])["event_id"].replace("-", " ") for row in refused)
    assert named == sorted({*TOLD, *TOLD_AGAIN} - {"the same again"})
    assert {tuple(row["reasons"]) for row in refused} == {("event_id_conflict",)}
    lost = {json.loads(row["payload"])["event_id"].replace("-", " "): row["taken_on"] for row in refused}
    assert {name for name, day in lost.items() if day == NEXT} == TOLD_AGAIN.keys() - {"the same again"}
    assert sum(row["rows_duplicate"] for row in deltalog.rows(closed.lake, "raw_files")) == 1
