"""Rows and bytes that Spark's stages read, by the step whose summary line follows them."""

from collections import defaultdict

from py4j.protocol import Py4JError

from ccare.runtime.settings import Settings
from ccare.runtime.spark import session


class Reads:
    """Counts from Spark's own status store, asked for at each summary line of a run."""

    def __init__(self, settings: Settings) -> None:
        self._store = session(settings).sparkContext._jsc.sc().statusStore()
        self._next = 0
        self._collect()
        self.steps: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))

    def said(self, line: str) -> None:
        """Count what was read since the line before."""
        step = line.split(" ", 1)[0]
        rows, size = self.steps[step]
        more_rows, more = self._collect()
        self.steps[step] = (rows + more_rows, size + more)

    @property
    def total(self) -> tuple[int, int]:
        """Rows and bytes of all steps so far."""
        return sum(r for r, _ in self.steps.values()), sum(b for _, b in self.steps.values())

    def _collect(self) -> tuple[int, int]:
        rows = size = missing = 0
        stage = self._next
        while missing < 50:
            try:
                data = self._store.lastStageAttempt(stage)
                rows, size, missing = rows + data.inputRecords(), size + data.inputBytes(), 0
                self._next = stage + 1
            except Py4JError:
                missing += 1
            stage += 1
        return rows, size
