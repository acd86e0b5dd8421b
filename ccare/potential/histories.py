"""Buying histories as the models read them: one row for users who look alike, with their number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Histories:
    """Users of one merchant. All arrays have shape (rows,), times share one unit (days or weeks).

    ``x``: repeat paid days; ``t_x``: first to last paid day; ``T``: first paid day to the end of observation;
    ``users``: how many have this history. 0 <= t_x <= T, and t_x = 0 where x = 0.
    """

    x: Array
    t_x: Array
    T: Array
    users: Array

    @staticmethod
    def of(x: object, t_x: object, T: object, users: object | None = None) -> "Histories":
        """From anything array-like; each row is one user where ``users`` is left out. ValueError where none can be."""
        one, two, three = (np.atleast_1d(np.asarray(part, dtype=float)) for part in (x, t_x, T))
        four = np.ones_like(one) if users is None else np.atleast_1d(np.asarray(users, dtype=float))
        result, parts = Histories(one, two, three, four), (one, two, three, four)
        if len({part.shape for part in parts}) != 1 or not all(np.isfinite(part).all() for part in parts):
            raise ValueError("histories need four finite arrays of one length")
        lawful = (result.x >= 0) & (result.t_x >= 0) & (result.t_x <= result.T) & (result.users > 0)
        if not lawful.all() or (result.t_x[result.x == 0] != 0).any():
            raise ValueError("a history breaks 0 <= t_x <= T, or t_x = 0 where x = 0")
        return result

    def grouped(self) -> "Histories":
        """The same users, alike ones in one row."""
        rows = np.stack([self.x, self.t_x, self.T])
        unique, inverse = np.unique(rows, axis=1, return_inverse=True)
        x, t_x, T = unique
        users = np.bincount(inverse.ravel(), weights=self.users).astype(np.float64)
        return Histories(x, t_x, T, users)

    @property
    def total(self) -> float:
        """Users."""
        return float(self.users.sum())

    @property
    def repeaters(self) -> float:
        """Users with a repeat paid day."""
        return float(self.users[self.x > 0].sum())
