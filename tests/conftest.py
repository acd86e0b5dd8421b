"""One Spark session for every test that needs one."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The product's own session on two cores; skipped, with the reason, where Java or the jars are missing."""
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
