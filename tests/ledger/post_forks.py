"""A process that keeps a warm Spark session and closes ledger days in forks of itself, each of which may be killed.

A fork is a process of its own: it holds its own lease and opens its own connection to the JVM, and SIGKILL ends
it as a power cut would end a run. Only the JVM outlives it; at a failpoint it has nothing to do.

Reads one JSON object a line: root (folder of a tiny lake), day, failpoint, steps, large (whether its books are);
answers with one a line: status (0, an exit code, or minus a signal), said, seconds.
"""

import json
import os
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

_PARENTS: list[object] = []


def main() -> None:
    """Serve until standard input ends."""
    sys.path.insert(0, str(Path(__file__).parent))
    from books_lake import settings_of

    from ccare.runtime import gate
    from ccare.runtime.spark import session

    scratch = Path(sys.argv[1])
    started = session(settings_of(scratch).with_(spark_conf=(("spark.sql.shuffle.partitions", "2"),)))
    for held in (True, False):  # in this thread: a fork must not find an import half done
        gate._whole(held)
    started.range(1).toArrow()
    started.catalog.clearCache()  # what the parent asks through is older than anything a fork makes
    _answer({"ready": True})
    for line in sys.stdin:
        told, newest = json.loads(line), _newest(started)
        began = time.monotonic()
        report = scratch / "report.txt"
        report.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            _close(told, report)
        _, status = os.waitpid(child, 0)
        _let_go(started, newest)
        said = report.read_text() if report.is_file() else ""
        _answer(
            {"status": os.waitstatus_to_exitcode(status), "said": said, "seconds": time.monotonic() - began}
        )


def _newest(spark: Any) -> int:
    """The number of the newest object that the JVM keeps for Python."""
    return int(spark.sparkContext._jvm.java.lang.Object()._target_id.removeprefix("o"))


def _let_go(spark: Any, newest: int) -> None:
    """Give back what a fork has made in the JVM since: killed, it could not, and a few dozen of them fill the heap."""
    spark.catalog.clearCache()
    client = spark.sparkContext._gateway._gateway_client
    for number in range(newest + 1, _newest(spark)):
        client.garbage_collect_object(f"o{number}", False)


def _answer(value: object) -> None:
    print(json.dumps(value), flush=True)


def _close(told: dict[str, Any], report: Path) -> None:
    """In the fork: close the day, and leave by its exit code without running anything of the parent's."""
    code = 0
    try:
        os.environ["CCARE_FAILPOINT"] = told["failpoint"]
        _own_connection()
        from books_lake import settings_of

        from ccare.runtime import steps as harness
        from ccare.runtime.day import run_steps

        if told["large"]:
            harness.LARGE_BOOKS = -1
        steps = tuple(told["steps"].split(","))
        lines: list[str] = []
        run_steps(settings_of(Path(told["root"])), date.fromisoformat(told["day"]), steps, lines.append)
        report.write_text("\n".join(lines))
    except BaseException as error:
        report.write_text(f"{type(error).__name__}: {error}")
        code = getattr(error, "exit_code", 70)
    finally:
        os._exit(code)


def _own_connection() -> None:
    """What the parent has open to the JVM is the parent's: this process opens its own."""
    from collections import deque
    from threading import local

    from pyspark import SparkContext

    client = SparkContext._gateway._gateway_client
    # Let go of, they would be closed, and with them the parent's ends.
    _PARENTS.extend((client.deque, client.thread_connection))
    client.deque, client.thread_connection = deque(), local()


if __name__ == "__main__":
    main()
