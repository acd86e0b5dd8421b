"""Personal data and the key, looked for in every artefact of a real run that was fed with both."""

import base64
import gzip
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from pyarrow import parquet

from ccare.runtime.settings import Settings
from tests.privacy.planted import CANARIES, forms, plant, write_planted
from tests.runtime.test_closing import ROOT, settings_in
from tests.small_landing import FIRST

pytestmark = [pytest.mark.spark, pytest.mark.slow]

KEY = "canary key, as long as a key has to be: 4f1d"
TOKEN = re.compile(rb"k1_[0-9a-f]{64}")

_LOG4J = """
status = error
rootLogger.level = info
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c: %m%n%ex
"""

_WORK = """
import io, logging, sys, traceback
from datetime import date
from pathlib import Path

logging.basicConfig(level=logging.DEBUG)
for noisy in ("py4j", "great_expectations"):
    logging.getLogger(noisy).setLevel(logging.INFO)
from ccare.cli import app
from ccare.errors import CcareError
from ccare.runtime import gate, ingest, storage
from ccare.runtime.quality import Quality
from ccare.runtime.settings import Settings
from ccare.runtime.spark import frame, session
from ccare.tables import table
from tests.privacy.planted import CANARIES

day, report = sys.argv[1:3]


def command(*words):
    print("$", *words)
    try:
        app(list(words), standalone_mode=False)
    except (Exception, SystemExit):
        traceback.print_exc()


def failing(work):
    try:
        work()
    except Exception:
        traceback.print_exc()
        print("FAILED AS IT SHOULD", flush=True)


command("run", "--day", day)
command("export", "--merchant", "m1")
command("verify", "--report", report)
for words in (["doctor"], ["doctor", "--json"], ["status"], ["digest"], ["catalogue"]):
    command(*words)
for words in (["rejected"], ["rejected", "--json"], ["replay-rejected", "--day", day], ["data-docs"]):
    command(*words)
command("reconcile", "--day", day, "--json")
# The day after is ingested as a large one, whose rows take another road; then a user is forgotten.
ingest.SMALL_LINES = 0
command("ingest", "--day", sys.argv[4])
sys.stdin = io.StringIO(CANARIES["user"])
command("forget", "-", "--by", "an operator", "--reason", "case 17", "--purge-now")
settings = Settings.load()
spark = session(settings)
staff = storage.read(spark, settings.lake, table("core_staff"), 1)
twice = gate.failures(staff.union(staff), table("core_staff"), gate.rules(table("core_staff")))
failing(lambda: Quality(date.fromisoformat(day), 0, "r").judge("core_staff", (), twice))
broken = frame(spark, table("ledger_transfers"), [{"transfer_id": "x", "amount": -1}])
scratch = Path(sys.argv[3])
failing(lambda: storage.write(spark, scratch, table("ledger_transfers"), broken, "r"))
spark.stop()
"""


def secrets() -> dict[str, bytes]:
    """The key and its pads in the forms in which something could print them."""
    key = KEY.encode()
    block = key.ljust(64, b"\0")
    found = {}
    for name, value in {
        "key": key,
        "inner pad": bytes(b ^ 0x36 for b in block),
        "outer pad": bytes(b ^ 0x5C for b in block),
        "digest of the key": hashlib.sha256(key).digest(),
    }.items():
        found[name] = value[:24]
        found[f"{name}, hex"] = value[:16].hex().encode()
        found[f"{name}, upper hex"] = value[:16].hex().upper().encode()
        found[f"{name}, base64"] = base64.b64encode(value[:24])
        found[f"{name}, list"] = ", ".join(str(b) for b in value[:8]).encode()
        found[f"{name}, signed list"] = ", ".join(str(b - 256 if b > 127 else b) for b in value[:8]).encode()
    return found


@pytest.fixture(scope="module")
def fed(spark: object, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake closed by a process of its own, its event log and all that it said beside it. Needs Java as ``spark``."""
    root = tmp_path_factory.mktemp("canary")
    settings = settings_in(root)
    write_planted(settings.landing, FIRST)
    plant(settings.landing, FIRST + timedelta(days=1))
    events, log4j = root / "events", root / "log4j2.properties"
    events.mkdir()
    log4j.write_text(_LOG4J)
    conf = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events.as_uri()}
    conf |= {"spark.eventLog.compress": "false", "spark.eventLog.rolling.enabled": "false"}
    env = {
        **os.environ,
        "CCARE_LAKE": str(settings.lake),
        "CCARE_LANDING": str(settings.landing),
        "CCARE_EXPORTS": str(settings.exports),
        "CCARE_CONF": str(settings.conf),
        "CCARE_BUSINESS_TIMEZONE": "UTC",
        "CCARE_PSEUDONYM_KEY": KEY,
        "CCARE_SPARK_MASTER": "local[2]",
        "CCARE_SPARK_CONF": ",".join(f"{name}={value}" for name, value in conf.items()),
        "CCARE_JAVA_OPTIONS": f"-Dlog4j2.configurationFile={log4j.as_uri()} -XX:TieredStopAtLevel=1",
    }
    work = root / "work.py"
    work.write_text(_WORK)
    env["PYTHONPATH"] = str(ROOT)
    arguments = [sys.executable, str(work), str(FIRST), str(root / "report.json"), str(root / "scratch")]
    arguments.append(str(FIRST + timedelta(days=1)))
    done = subprocess.run(arguments, env=env, cwd=ROOT, capture_output=True, check=False)
    (root / "stdout").write_bytes(done.stdout)
    (root / "stderr").write_bytes(done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
    return settings


def artefacts(settings: Settings) -> dict[str, bytes]:
    """Every file but the landing's, as bytes; Parquet also decoded, DuckDB also as rows."""
    root = settings.lake.parent
    found = {}
    for path in sorted(root.rglob("*")):
        if not path.is_file() or settings.landing in path.parents:
            continue
        name = str(path.relative_to(root))
        found[name] = path.read_bytes()
        if path.suffix == ".parquet":
            found[f"{name}, decoded"] = str(parquet.ParquetFile(path).read().to_pylist()).encode()
        if path.suffix == ".gz":
            found[f"{name}, unpacked"] = gzip.decompress(found[name])
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found |= {f"{name}, {member}": archive.read(member) for member in archive.namelist()}
    with duckdb.connect(str(settings.exports / "ccare.duckdb"), read_only=True) as con:
        for table in ("snapshot", "queries"):
            found[f"catalogue {table}"] = str(con.sql(f"from {table}").fetchall()).encode()
    return found


def test_nothing_personal_and_no_key_in_any_artefact(fed: Settings) -> None:
    found = artefacts(fed)
    kinds = {Path(name).suffix for name in found}
    assert {".parquet", ".json", ".csv", ".html", ".duckdb"} <= kinds, kinds
    events = [name for name in found if name.startswith("events")]
    assert events and b"SparkListenerSQLExecutionStart" in found[events[0]]
    assert found["stdout"].count(b"FAILED AS IT SHOULD") == 2
    assert b"core_staff of 2026-03-01 is refused" in found["stderr"]
    assert found["stdout"].count(b"event_id_conflict") > 2, "refused rows were listed"
    assert any("data_docs" in name for name in found)
    assert b"checks hold" in found["stdout"] and b"BROKEN" not in found["stdout"], found["stdout"][-3000:]
    leaks = [
        f"{what} in {name}: …{data[max(0, data.find(form) - 80) : data.find(form) + 80]!r}"
        for name, data in found.items()
        for what, wanted in [
            *((n, forms(text)) for n, text in CANARIES.items()),
            *((n, {form}) for n, form in secrets().items()),
        ]
        for form in wanted
        if form in data
    ]
    assert not leaks, "\n".join(leaks[:20])


def test_every_planted_line_has_its_fate(fed: Settings) -> None:
    with duckdb.connect(str(fed.exports / "ccare.duckdb"), read_only=True) as con:
        rows = con.sql(
            "select stream, rows_read, rows_accepted, rows_rejected from raw_files where path like '%planted%'"
        ).fetchall()
        refused = con.sql("select file_status from raw_files where path like '%torn%'").fetchall()
    assert refused == [("refused",)]
    for stream, read, accepted, rejected in rows:
        assert read == accepted + rejected, stream
        assert accepted > 0, stream
        assert rejected > 0, stream


def test_tokens_of_the_whole_lake_stay_in_it(fed: Settings) -> None:
    """No log, no table's log, no export and no message names a user, not even by token."""
    for name, data in artefacts(fed).items():
        in_tables = name.startswith("lake") and "_delta_log" not in name
        if not in_tables:
            assert not TOKEN.search(data), (name, TOKEN.search(data))
