"""Helper modules stand beside the tests; Spark is the one of tests/conftest.py, interpreted for tiny frames."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def books_spark(spark):
    """As a close of few positions runs: no generated code, one task."""
    from ccare.runtime.spark import interpreted

    with interpreted(spark):
        yield spark


@pytest.fixture(scope="module")
def spread_spark(spark, books_spark):
    """The same with rows spread over two tasks, which a close of more positions does."""
    name = "spark.sql.shuffle.partitions"
    spark.conf.set(name, "2")
    yield spark
    spark.conf.set(name, "1")


@pytest.fixture(scope="session")
def closes(forks):
    """Closes of tiny lakes in forks."""
    from closes import Closes

    return Closes(forks)


@pytest.fixture(scope="session")
def opened(tmp_path_factory):
    """Five days of tiny books published, the sixth open before its post step; tests copy it."""
    from books_lake import write_lake

    return write_lake(tmp_path_factory.mktemp("tiny") / "open")


@pytest.fixture(scope="session")
def staged(closes, opened, tmp_path_factory):
    """The same with its postings staged: where most places are, a kill costs no build. Tests copy it."""
    from closes import copied

    settings = copied(opened, tmp_path_factory.mktemp("staged") / "lake")
    assert closes.close(settings, "staging.recorded")["status"] == -signal.SIGKILL
    return settings
