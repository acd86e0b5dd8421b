"""``python -m ccare.setup [--proof FILE]``: find Java, bring the Delta jars, make the class archive.

``--pins`` prints the sha256 of what the pinned coordinates resolve to instead, for a change of version.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from ccare.errors import CcareError
from ccare.setup.appcds import make_archive
from ccare.setup.jars import fetch_delta_jars, jar_pins, resolve, sha256_of
from ccare.setup.java import find_java


def prepare(proof: Path | None) -> None:
    """Do the three steps, one line each; list in ``proof`` the files that a later set-up only looks at."""
    java = find_java()
    for reason in java.rejected:
        print(f"  passed over {reason}")
    print(f"  Java {java.version} ({java.source}): {java.home}", flush=True)
    jars = fetch_delta_jars()
    print(f"  Delta {jar_pins().version}: {len(jars)} jars in {jars[0].parent}, sha256 as pinned", flush=True)
    began = time.monotonic()
    archive, told = make_archive(java)
    print(f"  class archive: {told} ({time.monotonic() - began:.0f} s)", flush=True)
    if proof is not None:
        files = [java.home / "bin" / "java", *jars, *([archive] if archive else [])]
        facts = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        proof.write_text(json.dumps(facts), "utf-8")


def print_pins() -> None:
    """Resolve the pinned coordinates and print the table of sha256 for ``delta_jars.toml``."""
    with tempfile.TemporaryDirectory(prefix="ccare-jars-") as scratch:
        for artifact, jar in resolve(jar_pins(), Path(scratch)).items():
            print(f'"{artifact}" = "{sha256_of(jar)}"')


def main() -> int:
    """Parse the arguments, run, and turn a typed error into its sentence and exit code."""
    parser = argparse.ArgumentParser(prog="python -m ccare.setup", description=__doc__)
    parser.add_argument("--proof", type=Path, help="file to list what was set up in")
    parser.add_argument("--pins", action="store_true", help="print the sha256 of the pinned coordinates")
    arguments = parser.parse_args()
    try:
        if arguments.pins:
            print_pins()
        else:
            prepare(arguments.proof)
    except CcareError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
