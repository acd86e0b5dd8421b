"""A cluster is configuration: the same days on a master and two workers end with the digest of local mode."""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.runtime.close_days import close_days
from ccare.runtime.digest import lake_digest
from ccare.runtime.settings import Settings
from tests.runtime.test_closing import ROOT, environment, settings_in
from tests.small_landing import FIRST, write_day
from tests.spark_cluster import standalone

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAYS = [FIRST + timedelta(days=n) for n in range(2)]
LIMIT = 600
"""Lines above which a day goes through files: the first day's delivery, with its history, and not the second's."""
RUN = f"""
from ccare.cli import main
from ccare.runtime import ingest

ingest.SMALL_LINES = {LIMIT}
main()
"""
CONF = "spark.executor.memory=600m,spark.executor.cores=1,spark.sql.shuffle.partitions=2"


def on_cluster(settings: Settings, master: str) -> str:
    """Close both days in a process of its own whose executors are the workers'; returns what it said."""
    program = settings.lake.with_name("run.py")
    program.write_text(RUN)
    command = [sys.executable, str(program), "run", "--from", str(DAYS[0]), "--to", str(DAYS[1])]
    told = environment(settings, "") | {
        "CCARE_SPARK_MASTER": master,
        "CCARE_SPARK_CONF": CONF,
        "CCARE_DRIVER_MEMORY": "1g",
    }
    done = subprocess.run(
        [*command, "--to-step", "publish"], env=told, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_cluster_ends_with_the_digest_of_local_mode(spark: Any, tmp_path: Path, alone: None) -> None:
    """The first day takes the road of large deliveries on the cluster, the small one here; the second the small one."""
    here, there = settings_in(tmp_path / "here"), settings_in(tmp_path / "there")
    write_day(here.landing, DAYS[0], history=5)
    write_day(here.landing, DAYS[1])
    shutil.copytree(here.landing, there.landing)
    with standalone(tmp_path / "cluster") as master:
        on_cluster(there, master)
    executors = {log.parent.parent.parent.name for log in (tmp_path / "cluster").glob("work*/app-*/*/stderr")}
    assert executors == {"work0", "work1"}, "both workers had an executor"
    close_days(here, DAYS[0], DAYS[1], said=lambda line: None, to_step="publish")
    assert lake_digest(there) == lake_digest(here)
