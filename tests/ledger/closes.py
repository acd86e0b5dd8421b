"""Days of tiny lakes closed in forks of a warm process, each of which may be killed."""

import shutil

from books_lake import LAST


class Closes:
    """Closes in the forks of ``tests.forks``."""

    def __init__(self, forks):
        self._forks, self._report = forks, forks.scratch / "report.txt"

    def close(self, settings, failpoint="", steps="post,publish", large=False):
        """How the close ended and what it said: ``status`` (0, an exit code, or minus a signal) and ``said``."""
        self._report.unlink(missing_ok=True)
        told = {"root": str(settings.lake.parent), "day": str(LAST), "failpoint": failpoint, "steps": steps}
        status = self._forks.ask("tests.ledger.close_in_fork:close", {**told, "large": large})
        return {"status": status, "said": self._report.read_text() if self._report.is_file() else ""}


def copied(settings, target):
    """A lake of the test's own with the same policy."""
    shutil.copytree(settings.lake.parent, target)
    return settings.with_(
        lake=target / "lake", landing=target / "landing", exports=target / "exports", conf=target / "conf"
    )
