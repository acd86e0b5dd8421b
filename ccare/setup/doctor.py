"""``ccare doctor``: what this machine and this lake have, and for each problem the command that mends it.

Starts no session; the heaviest thing it runs is ``java -version``.
"""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from zoneinfo import ZoneInfo

from ccare import __version__
from ccare.errors import CcareError
from ccare.runtime.settings import MIN_KEY_BYTES, Settings
from ccare.setup.appcds import archive_path
from ccare.setup.jars import delta_jars, jar_pins
from ccare.setup.java import find_java

PACKAGES = ("pyspark", "delta-spark", "duckdb", "great-expectations", "apache-airflow", "deltalake")
MIN_MEMORY_GIB = 6.0
"""A session's 3 GiB heap, its off-heap share, Python and DuckDB side by side."""
SET_UP = "make setup"


@dataclass(frozen=True)
class Finding:
    """One line of the report. ``remedy`` is empty where ``ok``; ``value`` never holds a secret."""

    name: str
    value: str
    ok: bool = True
    remedy: str = ""


def diagnose(settings: Settings | None = None) -> list[Finding]:
    """Every finding, in reading order. Never raises for what it examines; that is what findings are for."""
    findings = [python(), ccare(), *packages(), java(), jars(), class_archive(), cores(), memory()]
    if settings is None:
        try:
            settings = Settings.load()
        except CcareError as error:
            return [*findings, Finding("settings", error.message, False, error.remedy)]
    private = [key(settings), *landing(settings)]
    return [*findings, *time_zones(settings), *private, policy(settings), *lake(settings)]


def guarded(name: str, examine: Callable[[], str]) -> Finding:
    """The text that ``examine`` gives, or its typed error as a problem."""
    try:
        return Finding(name, examine())
    except CcareError as error:
        return Finding(name, error.message, False, error.remedy)


def python() -> Finding:
    """This Python's version and place."""
    version = sys.version.split()[0]
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    remedy = "" if fits else f"Set CCARE_PYTHON to a Python 3.11, 3.12 or 3.13 and run `{SET_UP}`."
    return Finding("Python", f"{version} at {sys.prefix}", fits, remedy)


def ccare() -> Finding:
    """ccare's version, and whether the environment holds the same one."""
    try:
        installed = metadata.version("ccare")
    except metadata.PackageNotFoundError:
        return Finding("ccare", f"{__version__}, not installed here", False, f"Run `{SET_UP}`.")
    if installed != __version__:
        told = f"{__version__}, the environment holds {installed}"
        return Finding("ccare", told, False, f"Run `{SET_UP}`.")
    return Finding("ccare", __version__)


def packages() -> Iterator[Finding]:
    """The engines' versions against what ccare requires of them."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires("ccare") or []
    except metadata.PackageNotFoundError:
        lines = []
    required = {r.name: r.specifier for r in map(Requirement, lines)}
    for name in PACKAGES:
        wanted = required.get(name)
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(name, "not installed", False, f"Run `{SET_UP}`.")
            continue
        if wanted is not None and not wanted.contains(version, prereleases=True):
            yield Finding(name, f"{version}, {wanted} is needed", False, f"Run `{SET_UP}`.")
        else:
            yield Finding(name, f"{version} ({wanted} wanted)" if wanted else version)


def java() -> Finding:
    """Which Java runs Spark, from where, and which ones were passed over."""

    def examine() -> str:
        found = find_java()
        refused = f"; passed over: {'; '.join(found.rejected)}" if found.rejected else ""
        return f"{found.version} from {found.source}, {found.home}{refused}"

    return guarded("Java", examine)


def jars() -> Finding:
    """Whether the Delta jars are there as pinned."""

    def examine() -> str:
        found = delta_jars()
        return f"{len(found)} of Delta {jar_pins().version} as pinned in {found[0].parent}"

    return guarded("Delta jars", examine)


def class_archive() -> Finding:
    """Whether sessions start from an AppCDS archive; without one they are slower, nothing else."""
    try:
        path = archive_path(find_java())
    except CcareError:
        return Finding("class archive", "unknown until Java and the jars are there")
    if path is None:
        return Finding("class archive", "this Java cannot have one; sessions start a few seconds later")
    return Finding("class archive", str(path) if path.is_file() else f"none yet (`{SET_UP}` makes one)")


def cores() -> Finding:
    """Cores that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    remedy = "" if usable >= 2 else "Give this machine or container two cores; a day takes long on one."
    return Finding("cores", str(usable), usable >= 2, remedy)


def memory() -> Finding:
    """Memory of the machine or of its container, whichever is smaller, in GiB."""
    gib = memory_bytes() / 2**30
    remedy = (
        "" if gib >= MIN_MEMORY_GIB else f"Give it {MIN_MEMORY_GIB:.0f} GiB, or set CCARE_DRIVER_MEMORY=1g."
    )
    return Finding("memory", f"{gib:.1f} GiB", gib >= MIN_MEMORY_GIB, remedy)


def memory_bytes() -> int:
    """Physical memory, or the control group's limit where that is smaller."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [physical]
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text("ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return min(limits)


def time_zones(settings: Settings) -> Iterator[Finding]:
    """The zone that dates business days, and the machine's, which decides nothing."""
    now = datetime.now(UTC)
    local = now.astimezone(ZoneInfo(settings.timezone))
    yield Finding("business time zone", f"{settings.timezone}, now {local:%Y-%m-%d %H:%M}")
    yield Finding(
        "machine time zone", f"{time.tzname[0]}, now {now.astimezone():%Y-%m-%d %H:%M} (decides nothing)"
    )


def key(settings: Settings) -> Finding:
    """Whether there is a pseudonym key and it is long enough; the key itself is never shown."""
    return guarded(
        "pseudonym key",
        lambda: f"set, {len(settings.require_key())} bytes (at least {MIN_KEY_BYTES} needed)",
    )


def landing(settings: Settings) -> Iterator[Finding]:
    """Whether the landing folder, where raw ids are, is closed to other users of this machine."""
    if not settings.landing.is_dir():
        return
    mode = settings.landing.stat().st_mode & 0o777
    told = f"{settings.landing}, mode {mode:o}, kept {settings.landing_days} days"
    if mode & 0o077:
        # A warning, no failure: the folder may be upstream's to close.
        told += ": OPEN TO OTHERS, and raw user ids are there"
        yield Finding("landing", told, remedy=f"chmod 700 {settings.landing}")
    else:
        yield Finding("landing", told)


def policy(settings: Settings) -> Finding:
    """The scoring policy in force on the lake's last day, or today where there is none."""
    from ccare.scoring.policy import load_scoring

    def examine() -> str:
        today = datetime.now(UTC).astimezone(ZoneInfo(settings.timezone)).date()
        policies = load_scoring(settings.conf)
        in_force = policies.for_day(today)
        count = len(policies.versions)
        return (
            f"{in_force.version} in force today, {count} version{'s' if count > 1 else ''} ({settings.conf})"
        )

    return guarded("scoring policy", examine)


def lake(settings: Settings) -> Iterator[Finding]:
    """What is published, whether its newest commits are the published ones, and whether a run is open."""
    if not settings.lake.exists():
        yield Finding(
            "lake", f"none yet at {settings.lake}; the first `ccare ingest` or `ccare demo` makes it"
        )
        return
    from ccare.runtime.manifest import check_tables, latest

    def examine() -> str:
        last = latest(settings.lake)
        if last is None:
            return f"{settings.lake}: nothing published yet"
        check_tables(settings.lake, last)
        told = f"{len(last.table_versions)} tables published to {last.business_date}, run {last.seq}"
        return f"{settings.lake}: {told}, policy {last.policy_version}, commits as published"

    yield guarded("lake", examine)
    yield from open_run(settings)


def open_run(settings: Settings) -> Iterator[Finding]:
    """A finding only where a run is going on or was broken off."""
    from ccare.runtime.lease import lock_file, read_record

    if is_locked(lock_file(settings.lake)):
        yield Finding("open run", "one is going on")
        return
    try:
        record = read_record(settings.lake)
    except CcareError as error:
        yield Finding("open run", error.message, False, error.remedy)
        return
    if record is not None:
        done = ", ".join(record.steps_done) or "none"
        if record.is_amendment:
            told = f"a {record.kind} was broken off; readers see the lake as it was before"
            commands = {"rebuild": "state --rebuild", "fit": "fit-potential", "freeze": "freeze-benchmarks"}
            command = commands.get(record.kind, record.kind)
            yield Finding("open run", told, False, f"Ask for it again: `ccare {command}`.")
            return
        told = f"the run of {record.day} was broken off (steps done: {done})"
        yield Finding("open run", told, False, f"Run `ccare run --day {record.day}` to finish it.")


def is_locked(path: Path) -> bool:
    """Whether another process holds the file's lock; the file is not changed."""
    try:
        with path.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
