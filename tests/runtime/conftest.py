"""A lake that several modules look at, closed once."""

import shutil
from itertools import pairwise
from typing import Any

import pytest

from ccare.runtime.settings import Settings
from tests.small_landing import write_day


@pytest.fixture(scope="session")
def three_days(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a lake with three days closed one by one; nobody writes to it.

    Beside it, in ``after``, the lake as it stood after each day but the last.
    """
    from tests.runtime.test_closing import DAYS, close, settings_in

    settings = settings_in(tmp_path_factory.mktemp("closed"))
    write_day(settings.landing, DAYS[0], history=90)
    close(settings, DAYS[0])
    for before, day in pairwise(DAYS):
        shutil.copytree(settings.lake, settings.lake.parent / "after" / str(before))
        write_day(settings.landing, day)
        close(settings, day)
    return settings
