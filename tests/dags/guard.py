"""``python guard.py COMMAND…``: runs it until standard input ends, then ends it and every process that came of it.

Standard input ends with the process that holds its other end, however that one dies.
"""

import ctypes
import os
import subprocess
import sys
from contextlib import suppress

import psutil

_SET_CHILD_SUBREAPER = 36
"""prctl(2), Linux: orphans of the command, in whatever session, become this process's children."""


def main() -> None:
    """Run the words of the command line."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    sys.stdin.buffer.read()
    with suppress(ChildProcessError):
        while True:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            os.waitpid(-1, 0)


if __name__ == "__main__":
    main()
