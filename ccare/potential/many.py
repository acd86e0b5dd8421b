"""Many small fits: here where they are few, on every core where they are many. The results are the same."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from ccare.potential.fitting import Optimum, Prior
from ccare.potential.histories import Array

WORTH_PROCESSES = 1_000
"""Fits that take some ten seconds on one core; a process of its own takes one or two to start."""
_CHUNK = 50


@dataclass(frozen=True)
class Task:
    """One fit: what to fit (Histories or Spends), the prior, where to start, and whether four digits do."""

    of: Any
    prior: Prior
    start: Array | None = None
    rough: bool = False


def fit_many(fit: Callable[..., Optimum], tasks: Sequence[Task]) -> list[Optimum]:
    """``fit`` (a function of its module) of every task, in order."""
    cores = os.cpu_count() or 1
    calls = [(fit, task) for task in tasks]
    if len(tasks) < WORTH_PROCESSES or cores == 1:
        return [_fit(call) for call in calls]
    # Spawned, not forked: DuckDB's and Arrow's threads would not survive a fork.
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_fit, calls, chunksize=_CHUNK))


def _fit(call: tuple[Callable[..., Optimum], Task]) -> Optimum:
    fit, task = call
    return fit(task.of, task.prior, task.start, rough=task.rough)
