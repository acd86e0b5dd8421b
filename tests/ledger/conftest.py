"""Helper modules stand beside the tests; Spark is the one of tests/conftest.py, interpreted for tiny frames."""

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
