"""What merchants of one industry have in common: priors on log parameters, learned from the merchants themselves."""

from collections.abc import Mapping, Sequence

import numpy as np

from ccare.potential.fitting import Prior
from ccare.potential.histories import Array

FEW_PEERS = 10
"""So many peers count as much as everyone together."""
_MAD_TO_SD = 1.4826
_LEAST_SPREAD = 0.05


class Peers:
    """Priors by group from ``theta``, one merchant's log parameters a row, shape (merchants, parameters).

    The centre is the group's median, drawn to everyone's where peers are few; the width is everyone's spread. Medians,
    because some merchants' fits lie far out, where their likelihood is flat.
    """

    def __init__(self, theta: Array, groups: Sequence[str], strength: float, plain: Prior) -> None:
        self._plain, self._centres, self._all = plain, {}, plain.mean
        if not len(theta):
            return
        self._all = np.median(theta, axis=0)
        spread = np.maximum(_MAD_TO_SD * np.median(np.abs(theta - self._all), axis=0), _LEAST_SPREAD)
        self._plain = Prior(self._all, strength / spread**2)
        self._centres = {group: self._centre(rows) for group, rows in _grouped(theta, groups).items()}

    def prior(self, group: str) -> Prior:
        """The prior of a group; everyone's where nobody of it taught."""
        return Prior(self._centres.get(group, self._all), self._plain.precision)

    def _centre(self, rows: Array) -> Array:
        own = len(rows) / (len(rows) + FEW_PEERS)
        centre: Array = own * np.median(rows, axis=0) + (1 - own) * self._all
        return centre


def _grouped(theta: Array, groups: Sequence[str]) -> Mapping[str, Array]:
    names = np.asarray(groups, dtype=object)
    return {str(name): theta[names == name] for name in sorted(set(groups))}
