"""A connection that folds state spills what memory does not hold, beside another one, and leaves nothing behind."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ccare.runtime import disputes, handover

_MANY = "select count(*) from (select distinct hash(i + {0})::varchar || repeat('x', 20) from range(3000000) t(i))"


def test_two_connections_spill_into_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "STATE_MEMORY", "80MB")
    monkeypatch.setattr(handover.tempfile, "gettempdir", lambda: str(tmp_path))
    run = cast(Any, SimpleNamespace(settings=SimpleNamespace(lake=tmp_path / "lake")))
    with handover.folding(run, {}) as one, handover.folding(run, {}) as two:
        found = [one.sql(_MANY.format(0)), two.sql(_MANY.format(1))]
        assert [rows.fetchall() for rows in found] == [[(3_000_000,)]] * 2
    assert not [*tmp_path.iterdir()]


def test_connections_of_one_pass_name_folders_of_their_own(tmp_path: Path) -> None:
    with disputes.bounded(tmp_path) as one, disputes.bounded(tmp_path) as two:
        named = [con.execute("select current_setting('temp_directory')").fetchone() for con in (one, two)]
    assert named[0] != named[1]
