"""Helper modules stand beside the tests; Spark is the one of tests/conftest.py, interpreted for tiny frames."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
_INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@pytest.fixture(scope="module")
def books_spark(spark):
    """Compiling each plan takes longer than running it on a few hundred rows."""
    for name, value in _INTERPRETED.items():
        spark.conf.set(name, value)
    yield spark
    for name in _INTERPRETED:
        spark.conf.unset(name)


@pytest.fixture(scope="session")
def forks(spark, tmp_path_factory):
    """Started once; ``spark`` is asked for only to skip where there is none."""
    from forks import Forks

    started = Forks(tmp_path_factory.mktemp("forks"))
    yield started
    started.end()


@pytest.fixture(scope="session")
def opened(tmp_path_factory):
    """Five days of tiny books published, the sixth open before its post step; tests copy it."""
    from books_lake import write_lake

    return write_lake(tmp_path_factory.mktemp("tiny") / "open")


@pytest.fixture(scope="session")
def staged(forks, opened, tmp_path_factory):
    """The same with its postings staged: where most places are, a kill costs no build. Tests copy it."""
    from forks import copied

    settings = copied(opened, tmp_path_factory.mktemp("staged") / "lake")
    assert forks.close(settings, "staging.recorded")["status"] == -signal.SIGKILL
    return settings
