"""Rows of many merchants in one array a column, merchant after merchant: sums over each, in few calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import zeta

from ccare.potential.histories import Array


@dataclass(frozen=True)
class Rows:
    """``counts``: rows of each merchant, shape (merchants,), 0 allowed; ``columns``: arrays of shape (rows,).

    A sum over a merchant's rows does not depend on which merchants stand beside it, not even in its last digit.
    """

    counts: NDArray[np.intp]
    columns: tuple[Array, ...]

    @staticmethod
    def of(parts: Sequence[tuple[Array, ...]]) -> "Rows":
        """One merchant's columns a part."""
        counts = np.array([len(part[0]) for part in parts], dtype=np.intp)
        return Rows(counts, tuple(np.concatenate(column) for column in zip(*parts)))

    @cached_property
    def merchant(self) -> NDArray[np.intp]:
        """The merchant of each row by its place."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def sum(self, column: Array) -> Array:
        """(rows,) -> (merchants,)."""
        result = np.zeros(len(self.counts))
        filled = np.flatnonzero(self.counts)  # reduceat gives a row where a segment is empty
        if filled.size:
            result[filled] = np.add.reduceat(column, (np.cumsum(self.counts) - self.counts)[filled])
        return result

    def spread(self, values: Array) -> Array:
        """(merchants,) -> (rows,)."""
        return np.repeat(values, self.counts)

    def where(self, rows: NDArray[np.bool_]) -> "Rows":
        """The same merchants, some of their rows."""
        counts = np.bincount(self.merchant[rows], minlength=len(self.counts))
        return Rows(counts, tuple(column[rows] for column in self.columns))

    def only(self, merchants: NDArray[np.bool_]) -> "Rows":
        """Some of the merchants, all of their rows."""
        rows = np.repeat(merchants, self.counts)
        return Rows(self.counts[merchants], tuple(column[rows] for column in self.columns))

    def levels(self, key: Array, users: Array) -> "Rows":
        """Columns (distinct ``key`` of a merchant, its ``users``): gamma functions depend on no other column."""
        order = np.lexsort((key, self.merchant))
        key, merchant = key[order], self.merchant[order]
        first = np.ones(len(key), dtype=bool)
        first[1:] = (key[1:] != key[:-1]) | (merchant[1:] != merchant[:-1])
        counts = np.bincount(merchant[first], minlength=len(self.counts))
        return Rows(counts, (key[first], np.add.reduceat(users[order], np.flatnonzero(first))))


def trigamma(at: Array) -> Array:
    """Slope of digamma, for positive arguments."""
    result: Array = zeta(2, at)
    return result
