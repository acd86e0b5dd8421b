"""One Spark session for every test that needs one; on CI, no skips."""

import fcntl
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.forks import forks  # noqa: F401  a fixture of every test

# A worker of pytest-xdist has a main module without a file: pyspark takes it for a doctest, and ends it, where
# Great Expectations looks for its connect client.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__
# Test lakes are small; several test processes beside each other must fit into one machine.
os.environ.setdefault("CCARE_DRIVER_MEMORY", "2g")
# Hardly a plan of a test is run often enough to repay the second compiler, which took a third of the processor's time.
os.environ.setdefault("CCARE_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What make torture asks for: every pair of places, and a whole year by a seed of its own."""
    parser.addoption("--all-pairs", action="store_true", help="kill a close at every pair of places")
    parser.addoption("--full-year", action="store_true", help="close 365 days of a ledger, not ten weeks")
    parser.addoption("--seed", type=int, help="play the ledger's year of this seed again")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: started last, one of them would keep a process busy while the other idles."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The product's own session on two cores; skipped where Java or the jars are missing."""
    from ccare.errors import InputMissing
    from ccare.runtime.settings import Settings
    from ccare.runtime.spark import session

    root = tmp_path_factory.mktemp("spark")
    settings = Settings(lake=root / "lake", landing=root / "landing", exports=root / "exports")
    shuffle = ("spark.sql.shuffle.partitions", "2")
    try:
        started = session(settings.with_(spark_master="local[2]", spark_conf=(shuffle,)))
    except InputMissing as missing:
        pytest.skip(f"no Spark: {missing}")
    yield started
    started.stop()


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Held by one test at a time, whatever process it runs in: tests with a cluster or a scheduler of their own.

    Each brings some ten processes; both at once ask too much of two cores.
    """
    with (tmp_path_factory.getbasetemp().parent / "alone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# On CI a skipped test proves nothing: with CCARE_NO_SKIPS=1 every skip is a failure.


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    """Skips of a test or its fixtures."""
    return _skip_refused((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Iterator[Any]:
    """Skips of a whole module."""
    return _skip_refused((yield))


def _skip_refused(report: Any) -> Any:
    if os.environ.get("CCARE_NO_SKIPS") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (CCARE_NO_SKIPS=1: nothing may be skipped)"
    return report
