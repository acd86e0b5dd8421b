"""The five Delta jars: resolved once by Spark's resolver, checked against pinned sha256, used offline.

Delta's other dependencies are left out on purpose: they are older than Spark's own and would shadow them.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ccare.errors import CcareError, InputMissing
from ccare.setup.cache import cache_folder, written_aside
from ccare.setup.java import find_java
from ccare.setup.trust import trust_options

EXCLUDED_GROUPS = (
    "com.fasterxml.jackson.core",
    "com.fasterxml.jackson.datatype",
    "com.fasterxml.jackson.module",
    "com.github.luben",
    "com.google.code.findbugs",
    "io.airlift",
    "io.unitycatalog",
    "org.antlr",
    "org.apache.hadoop",
    "org.apache.logging.log4j",
    "org.apache.parquet",
    "org.locationtech.jts",
    "org.openapitools",
    "org.roaringbitmap",
    "org.slf4j",
    "org.xerial.snappy",
)
RESOLVE_TIMEOUT_S = 600
MEND = "Run `make setup`."


@dataclass(frozen=True)
class JarPins:
    """Maven coordinates and the sha256 (hex) of each artifact, from ``delta_jars.toml``."""

    version: str
    group: str
    root: str
    sha256: dict[str, str]

    def file_name(self, artifact: str) -> str:
        """Name of the artifact's jar in the cache folder."""
        return f"{artifact}-{self.version}.jar"


def jar_pins() -> JarPins:
    """The pins shipped with the package."""
    read = tomllib.loads(files("ccare.setup").joinpath("delta_jars.toml").read_text("utf-8"))
    return JarPins(read["version"], read["group"], read["root"], read["sha256"])


def jars_folder() -> Path:
    """Where the jars of the pinned version are kept."""
    return cache_folder() / "jars" / jar_pins().version


def delta_jars() -> list[Path]:
    """The checked jars, in the order of the pins; no network.

    A jar whose size and modification time are as at its last check is trusted; any other is hashed in full.
    Raises InputMissing when one is absent or has other bytes than pinned.
    """
    pins, folder = jar_pins(), jars_folder()
    stamps = _read_stamps(folder)
    fresh: dict[str, list[int | str]] = {}
    jars = []
    for artifact, expected in pins.sha256.items():
        jar = folder / pins.file_name(artifact)
        try:
            facts = jar.stat()
            seen = [facts.st_size, facts.st_mtime_ns]
            found = expected if stamps.get(jar.name) == [*seen, expected] else sha256_of(jar)
        except OSError as error:
            raise InputMissing(f"The Delta jar {jar} is missing.", remedy=MEND) from error
        if found != expected:
            raise InputMissing(
                f"The Delta jar {jar} has sha256 {found[:12]}… where {expected[:12]}… is pinned.", remedy=MEND
            )
        fresh[jar.name] = [*seen, expected]
        jars.append(jar)
    if fresh != stamps:
        _write_stamps(folder, fresh)
    return jars


def fetch_delta_jars() -> list[Path]:
    """Bring the jars into the cache folder unless they are there and right; returns as ``delta_jars``.

    Resolves into a temporary folder, checks each sha256, then moves each jar in under its final name.
    Raises InputMissing when they cannot be fetched, CcareError when the fetched bytes differ from the pins.
    """
    try:
        return delta_jars()
    except InputMissing:
        pass
    pins, folder = jar_pins(), jars_folder()
    with tempfile.TemporaryDirectory(prefix="ccare-jars-") as scratch:
        fetched = resolve(pins, Path(scratch))
        for artifact, expected in pins.sha256.items():
            if (found := sha256_of(fetched[artifact])) != expected:
                raise CcareError(
                    f"The Maven repository served {pins.file_name(artifact)} with sha256 {found}, "
                    f"not the pinned {expected}; it was not kept.",
                    remedy="Check the repository or mirror that Spark resolves from, then run `make setup`.",
                )
        for artifact in pins.sha256:
            with written_aside(folder / pins.file_name(artifact)) as part:
                shutil.copyfile(fetched[artifact], part)
    return delta_jars()


def resolve(pins: JarPins, scratch: Path) -> dict[str, Path]:
    """Artifact -> jar resolved below ``scratch`` by spark-submit; InputMissing when one does not arrive."""
    import pyspark

    home = Path(pyspark.__file__).parent
    environment = {
        **os.environ,
        "JAVA_HOME": str(find_java().home),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": " ".join(trust_options(scratch)),
    }
    command = [
        str(home / "bin" / "spark-submit"),
        *("--master", "local[1]"),
        *("--conf", f"spark.jars.ivy={scratch}"),
        *("--packages", f"{pins.group}:{pins.root}:{pins.version}"),
        *("--exclude-packages", ",".join(f"{group}:*" for group in EXCLUDED_GROUPS)),
        # Resolution happens before the main class starts; this one prints Spark's version and ends.
        *("--class", "org.apache.spark.deploy.SparkSubmit", "spark-internal", "--version"),
    ]
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=RESOLVE_TIMEOUT_S,
        )
        log = done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        log = f"no answer within {RESOLVE_TIMEOUT_S} s"
    names = {artifact: f"{pins.group}_{pins.file_name(artifact)}" for artifact in pins.sha256}
    found = {artifact: scratch / "jars" / name for artifact, name in names.items()}
    missing = [artifact for artifact, jar in found.items() if not jar.is_file()]
    if missing:
        raise InputMissing(
            f"The Delta jars could not be downloaded ({_cause(log)}).",
            remedy="Connect to the network, or point DEFAULT_ARTIFACT_REPOSITORY at a Maven mirror in reach, "
            "and run `make setup` again; what is already installed is kept.",
        )
    return found


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _cause(log: str) -> str:
    """Why the main repository gave nothing, without addresses; the other one never has Delta."""
    lines = [line.strip(": \t") for line in log.splitlines() if "spark-packages" not in line]
    if any("PKIX" in line for line in lines):
        return (
            "this Java does not trust the server's certificate; name your authority's bundle in SSL_CERT_FILE"
        )
    if any(line.startswith("Host ") and " not found" in line for line in lines):
        return "the Maven repository's name is not found: no network"
    telling = ("Connection refused", "timed out", "no answer", "unresolved dependency", "Exception")
    found = [line for word in telling for line in lines if word in line]
    return re.sub(r"\w+://\S+", "…", found[0])[:160] if found else "the resolver gave no reason"


def _stamp_file(folder: Path) -> Path:
    return folder / ".checked.json"


def _read_stamps(folder: Path) -> dict[str, list[int | str]]:
    try:
        read = json.loads(_stamp_file(folder).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _write_stamps(folder: Path, stamps: dict[str, list[int | str]]) -> None:
    """Best effort: a read-only cache folder costs a full hash each time, no more."""
    try:
        with written_aside(_stamp_file(folder)) as part:
            part.write_text(json.dumps(stamps, indent=1), "utf-8")
    except CcareError:
        return
