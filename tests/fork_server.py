"""A process that keeps a warm Spark session and works in forks of itself, each of which may be killed.

A fork is a process of its own: it holds its own lease and opens its own connection to the JVM, and SIGKILL ends
it as a power cut would end a run. Only the JVM outlives it; jobs that it had running are ended before the answer.

Reads one JSON object a line, whose ``work`` names the function (``module:name``) that a fork calls with it and with
the folder of what is said; answers with one a line: status (0, an exit code, or minus a signal).
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

_PARENTS: list[object] = []


def main() -> None:
    """Serve until standard input ends."""
    from ccare.runtime import gate
    from ccare.runtime.settings import Settings
    from ccare.runtime.spark import session

    scratch = Path(sys.argv[1])
    settings = Settings(**{name: scratch / name for name in ("lake", "landing", "exports")})
    shuffle = ("spark.sql.shuffle.partitions", "2")
    started = session(settings.with_(spark_master="local[2]", spark_conf=(shuffle,)))
    for held in (True, False):  # in this thread: a fork must not find an import half done
        gate._whole(held)
    started.range(1).toArrow()
    started.catalog.clearCache()  # what the parent asks through is older than anything a fork makes
    conf = started.conf.getAll
    _answer({"ready": True})
    for line in sys.stdin:
        told, newest = json.loads(line), _newest(started)
        child = os.fork()
        if child == 0:
            _work(told, scratch)
        _, status = os.waitpid(child, 0)
        _let_go(started, newest)
        _restore(started, conf)
        _answer({"status": os.waitstatus_to_exitcode(status)})


def _work(told: dict[str, Any], scratch: Path) -> None:
    """In the fork: leave by an exit code without running anything of the parent's."""
    code = 70
    try:
        _own_connection()
        module, _, name = told["work"].partition(":")
        code = getattr(import_module(module), name)(told, scratch)
    finally:
        os._exit(code)


def command(told: dict[str, Any], scratch: Path) -> int:
    """Run a ``ccare`` command: words, environment, given (standard input), patched; files stdout and stderr."""
    os.environ.clear()
    os.environ.update(told["environment"])
    given = scratch / "stdin"
    given.write_text(told["given"])
    for number, (path, flags) in enumerate(
        [(given, os.O_RDONLY)]
        + [(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in ("stdout", "stderr")]
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    for place, value in told["patched"].items():
        module, _, name = place.partition(":")
        setattr(import_module(module), name, value)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.argv = ["ccare", *told["words"]]
    from ccare.cli import main as ccare

    try:
        ccare()
        return 0
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _newest(spark: Any) -> int:
    """The number of the newest object that the JVM keeps for Python."""
    return int(spark.sparkContext._jvm.java.lang.Object()._target_id.removeprefix("o"))


def _let_go(spark: Any, newest: int) -> None:
    """End what a fork has running in the JVM, and give back what it has made there: killed, it could not."""
    context = spark.sparkContext
    context.cancelAllJobs()
    tracker = context._jsc.sc().statusTracker()
    while any(each.numRunningTasks() for each in tracker.getExecutorInfos()):
        time.sleep(0.05)
    spark.catalog.clearCache()
    client = context._gateway._gateway_client
    for number in range(newest + 1, _newest(spark)):
        client.garbage_collect_object(f"o{number}", False)


def _restore(spark: Any, conf: Mapping[str, str]) -> None:
    """A fork that was killed within ``interpreted`` has left the session so."""
    for name, value in spark.conf.getAll.items():
        if name.startswith("spark.sql.") and name not in conf:
            spark.conf.unset(name)
        elif name.startswith("spark.sql.") and conf[name] != value:
            spark.conf.set(name, conf[name])


def _answer(value: object) -> None:
    print(json.dumps(value), flush=True)


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
