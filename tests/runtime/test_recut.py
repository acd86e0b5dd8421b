"""The same rows as other files: shuffled, a fifth of them twice, cut anew. What is published of them is the same."""

import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from ccare.runtime.digest import lake_digest
from ccare.runtime.settings import Settings
from tests.runtime.test_closing import close, settings_in
from tests.small_landing import FIRST, write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]
NEXT = FIRST + timedelta(days=1)


def recut(landing: Path, seed: int) -> None:
    """Every delivery folder's lines in any order, a fifth of them repeated, in one to four files of other names.

    Some repeats come once more with the next day's delivery.
    """
    draw, repeated = random.Random(f"recut {seed}"), dict[tuple[str, date], list[str]]()
    for folder in sorted(path for path in landing.glob("*/*") if path.is_dir()):
        stream, delivered = folder.parent.name, date.fromisoformat(folder.name)
        lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl"):
            path.unlink()
        again = draw.sample(lines, len(lines) // 5)
        repeated[stream, delivered + timedelta(days=1)] = again[::3]
        lines += again + repeated.get((stream, delivered), [])
        draw.shuffle(lines)
        parts = draw.randrange(1, 5)
        for part in range(parts):
            text = "".join(f"{line}\n" for line in lines[part::parts])
            (folder / f"{draw.randrange(10**6):06d}-{part}.jsonl").write_text(text)


def closed(root: Path, seed: int, *, as_other_files: bool) -> Settings:
    settings = settings_in(root)
    write_day(settings.landing, FIRST, history=6, seed=seed)
    write_day(settings.landing, NEXT, seed=seed)
    if as_other_files:
        recut(settings.landing, seed)
    close(settings, FIRST, NEXT)
    return settings


@pytest.mark.parametrize("seed", [1, 2])
def test_other_files_of_the_same_rows_give_the_same_state_and_metrics(
    spark: object, tmp_path: Path, seed: int
) -> None:
    plain, other = (
        lake_digest(closed(tmp_path / name, seed, as_other_files=name == "other"))["tables"]
        for name in ("plain", "other")
    )
    names = {name for name in plain if name.startswith(("state_", "metric_"))}
    assert names == {name for name in other if name.startswith(("state_", "metric_"))} and len(names) >= 8
    assert {name: other[name] for name in names} == {name: plain[name] for name in names}
