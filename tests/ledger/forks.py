"""A warm process that closes days of tiny lakes in forks of itself, each of which may be killed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from books_lake import LAST

ROOT = Path(__file__).resolve().parents[2]


class Forks:
    """The process that closes days in forks of itself."""

    def __init__(self, scratch):
        script = Path(__file__).with_name("post_forks.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._heard() == {"ready": True}

    def _heard(self):
        while not (line := self.process.stdout.readline()).startswith("{"):
            assert line, "the process that forks has ended"
        return json.loads(line)

    def close(self, settings, failpoint="", steps="post,publish", large=False):
        told = {"root": str(settings.lake.parent), "day": str(LAST), "failpoint": failpoint, "steps": steps}
        told["large"] = large
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        return self._heard()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def copied(settings, target):
    """A lake of the test's own with the same policy."""
    shutil.copytree(settings.lake.parent, target)
    return settings.with_(
        lake=target / "lake", landing=target / "landing", exports=target / "exports", conf=target / "conf"
    )
