"""Many small fits: batches of merchants, on every core. A merchant's result does not depend on its batch."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from ccare.potential.fitting import Optimum, Prior, minimise
from ccare.potential.histories import Array
from ccare.potential.losses import Many, Penalised
from ccare.potential.newton import descend

ROWS = 100_000
"""Rows of a batch: calls cost nothing any more, and its arrays some 50 MB."""

Stack = Callable[[Sequence[Any]], Many]


@dataclass(frozen=True)
class Task:
    """One fit: what to fit (Histories or Spends), the prior, where to start (its mean), and whether three digits do."""

    of: Any
    prior: Prior
    start: Array | None = None
    rough: bool = False

    @property
    def begin(self) -> Array:
        """Where the search starts."""
        return self.prior.mean if self.start is None else self.start


def fit_many(stack: Stack, tasks: Sequence[Task]) -> list[Optimum]:
    """Optimum of every task, in order; ``stack`` puts what a batch of them fits into one."""
    batches = list(_batches(tasks))
    if len(batches) < 2:
        return list(chain.from_iterable(_fit(stack, batch) for batch in batches))
    # Threads: the work is in calls of NumPy and SciPy that let each other run.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(chain.from_iterable(pool.map(lambda batch: _fit(stack, batch), batches)))


def _batches(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    first, rows = 0, 0
    for i, task in enumerate(tasks):
        if rows and rows + len(task.of.x) > ROWS:
            yield tasks[first:i]
            first, rows = i, 0
        rows += len(task.of.x)
    if rows:
        yield tasks[first:]


def _fit(stack: Stack, tasks: Sequence[Task]) -> list[Optimum]:
    mean, precision = (np.array([getattr(t.prior, part) for t in tasks]) for part in ("mean", "precision"))
    of = Penalised(stack([task.of for task in tasks]), mean, precision)
    start = np.array([task.begin for task in tasks])
    found = zip(*descend(of, start, np.array([task.rough for task in tasks])), tasks)
    return [
        Optimum(theta, float(value), True) if done else alone(stack, task)
        for theta, value, done, task in found
    ]


def alone(stack: Stack, task: Task) -> Optimum:
    """One task by L-BFGS-B, whose line search gets on where no step of Newton's does."""
    one = stack([task.of])

    def loss(theta: Array) -> tuple[float, Array]:
        found = one.losses(theta[None])
        return float(found.value[0]), found.slope[0]

    return minimise(loss, task.begin, task.prior, float(one.users[0]), rough=task.rough)
