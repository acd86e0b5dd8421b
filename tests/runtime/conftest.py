"""A lake that several modules look at, closed once."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ccare.runtime.settings import Settings
from tests.made_once import made_once
from tests.small_landing import write_day


@pytest.fixture(scope="session")
def three_days(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a lake with three days closed one by one; nobody writes to it.

    Beside it, in ``after``, the lake as it stood after each day but the last.
    """
    from tests.runtime.test_closing import settings_in

    return settings_in(made_once(tmp_path_factory, "closed", _close_three_days))


def _close_three_days(root: Path) -> None:
    from tests.runtime.test_closing import DAYS, close, settings_in

    settings = settings_in(root)
    write_day(settings.landing, DAYS[0], history=90)
    close(settings, DAYS[0])
    for before, day in pairwise(DAYS):
        shutil.copytree(settings.lake, root / "after" / str(before))
        write_day(settings.landing, day)
        close(settings, day)
