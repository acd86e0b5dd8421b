"""``ccare export --day``: a day that is not the last one is told by its own run, and never stands for another."""

import csv
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import InputMissing
from ccare.growth.catalogue import FILE_NAME
from ccare.runtime import manifest
from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings
from ccare.tables import table
from tests.growth.small_base import LAST
from tests.growth.small_scores import scores
from tests.published import publish

NEXT = LAST + timedelta(days=1)


@pytest.fixture
def lake(small_lake: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The small lake with one more day closed, of which m1 has another score."""
    settings: Settings = small_lake.build(tmp_path)
    rows = [row | {"total_score": 12.5} for row in scores((NEXT,)) if row["merchant_id"] == "m1"]
    version = write_rows(settings.lake, table("score_merchants"), rows, "next")
    publish(settings.lake, NEXT, {"score_merchants": version})
    for name in ("lake", "landing", "exports", "currency"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("CCARE_BUSINESS_TIMEZONE", settings.timezone)
    monkeypatch.setenv("CCARE_CONF", str(settings.conf))
    return settings


def export(*words: str) -> list[str]:
    """The paths that the command names; its typed error is raised."""
    result = CliRunner().invoke(app, ["export", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout.split()


def totals(path: Path) -> dict[str, str]:
    rows = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
    return {row["merchant_id"]: row["total_score"] for row in rows}


def test_scores_are_those_of_the_day_and_the_catalogue_shows_the_last(lake: Settings) -> None:
    export("--day", str(LAST))
    assert sorted(totals(lake.exports / str(LAST) / "scores.csv")) == ["m1", "m2", "m3"]
    assert not (lake.exports / str(NEXT)).exists()
    assert (lake.exports / FILE_NAME).exists()
    for words in ((), ("--day", str(NEXT))):
        export(*words)
        assert totals(lake.exports / str(NEXT) / "scores.csv") == {"m1": "12.5"}


def test_a_merchants_folder_is_that_of_the_day(lake: Settings) -> None:
    assert export("--merchant", "m1", "--day", str(LAST)) == [
        str(lake.exports / "merchants" / "m1" / str(LAST))
    ]
    assert not (lake.exports / "merchants" / "m1" / str(NEXT)).exists()


def test_a_day_told_again_later_is_told_as_the_lake_stood(lake: Settings) -> None:
    """The version of such a run ends with another day: its card would be of that one, its balances later."""
    publish(lake.lake, LAST, {}, run_id="again", kind="republish")
    (folder,) = export("--merchant", "m1", "--day", str(LAST))
    card = Path(folder, "card.html").read_text(encoding="utf-8")
    assert f" {LAST} · " in card and str(NEXT) not in card


@pytest.mark.parametrize("days", [-30, 2])
def test_a_day_that_was_never_closed_is_refused(days: int, lake: Settings) -> None:
    with pytest.raises(InputMissing, match=rf"is not published; days from {LAST} to {NEXT} are"):
        export("--day", str(LAST + timedelta(days=days)))
    assert not list(lake.exports.glob("*"))


def test_a_day_whose_files_were_purged_says_so(lake: Settings) -> None:
    row = next(r for r in manifest.published(lake.lake) if r.business_date == LAST)
    log = lake.lake / "score_merchants" / "_delta_log" / f"{row.table_versions['score_merchants']:020d}.json"
    log.unlink()
    with pytest.raises(InputMissing, match=rf"{LAST} cannot be exported again: files of score_merchants"):
        export("--day", str(LAST))
