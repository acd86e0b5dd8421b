"""BG/NBD's loss for many merchants at once, with gradient and curvature in the log parameters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from ccare.potential.histories import Array, Histories
from ccare.potential.losses import Flags, Losses
from ccare.potential.rows import Rows, trigamma


@dataclass(frozen=True)
class ManyHistories:
    """``users``, shape (merchants,), and their rows: ``levels`` (x, users), ``again`` (x, t_x, T, users) with x > 0,
    ``once`` (T, users) with x = 0."""

    users: Array
    levels: Rows
    again: Rows
    once: Rows

    @staticmethod
    def of(parts: Sequence[Histories]) -> "ManyHistories":
        """One merchant's histories a part."""
        rows = Rows.of([(part.x, part.t_x, part.T, part.users) for part in parts])
        x, _, _, n = rows.columns
        once = rows.where(x == 0)
        return ManyHistories(
            rows.sum(n), rows.levels(x, n), rows.where(x > 0), Rows(once.counts, once.columns[2:])
        )

    def only(self, merchants: Flags) -> "ManyHistories":
        """Some of the merchants."""
        return ManyHistories(
            self.users[merchants],
            self.levels.only(merchants),
            self.again.only(merchants),
            self.once.only(merchants),
        )

    def losses(self, theta: Array) -> Losses:
        """Negative log-likelihoods at ``theta`` = log (r, alpha, a, b), shape (merchants, 4)."""
        found = Losses.zeros(theta)
        self._count(theta, found)
        self._pay_again(theta, found)
        self._pay_once(theta, found)
        return found.negative()

    def _count(self, theta: Array, to: Losses) -> None:
        """What depends on x alone: ln G(r+x)/G(r) + r ln alpha + ln B(a, b+x)/B(a, b), but for a / (b+x-1)."""
        x, n = self.levels.columns
        total, spread = self.levels.sum, self.levels.spread
        r, _, a, b = np.exp(theta).T
        log_alpha, both = theta[:, 1], a + b
        shape, all_, stay = spread(r) + x, spread(both) + x, spread(b) + x

        def rise(function: object, at: Array, start: Array) -> Array:
            return total(n * (function(at) - spread(function(start))))  # type: ignore[operator]

        pays, goes, stays = (rise(digamma, *k) for k in ((shape, r), (all_, both), (stay, b)))
        bent, bent_goes, bent_stays = (rise(trigamma, *k) for k in ((shape, r), (all_, both), (stay, b)))
        to.value += rise(gammaln, shape, r) - rise(gammaln, all_, both) + rise(gammaln, stay, b)
        to.value += self.users * r * log_alpha
        paying = r * (pays + self.users * log_alpha)
        to.add_slope(paying, self.users * r, -a * goes, b * (stays - goes))
        to.add_curvature(0, 0, paying + r * r * bent)
        to.add_curvature(0, 1, self.users * r)
        to.add_curvature(2, 2, -a * (goes + a * bent_goes))
        to.add_curvature(2, 3, -a * b * bent_goes)
        to.add_curvature(3, 3, b * (stays - goes) + b * b * (bent_stays - bent_goes))

    def _pay_again(self, theta: Array, to: Losses) -> None:
        """ln(1 + e^left) - (r+x) ln(alpha+T), left = ln a/(b+x-1) + (r+x) ln (alpha+T)/(alpha+t_x)."""
        x, t_x, T, n = self.again.columns
        total = self.again.sum
        r, alpha, _, b = (self.again.spread(part) for part in np.exp(theta).T)
        shape, kept, late, early = r + x, b + (x - 1), alpha + T, alpha + t_x
        log_late = np.log(late)
        waited = log_late - np.log(early)
        left = self.again.spread(theta[:, 2]) - np.log(kept) + shape * waited
        tail = np.exp(-np.abs(left))
        gone = np.where(left > 0, 1.0, tail) / (1 + tail)  # weight of having left after the last paid day
        w, v = n * gone, n * tail / (1 + tail) ** 2
        in_late, in_early = alpha / late, alpha / early
        by_r, by_alpha, by_b = r * waited, shape * (in_late - in_early), -b / kept  # of left; by a it is 1
        v_r, v_alpha = v * by_r, v * by_alpha
        to.value += total(n * (np.maximum(left, 0) + np.log1p(tail) - shape * log_late))
        paying = total(w * by_r - n * r * log_late)
        to.add_slope(paying, total(w * by_alpha - n * shape * in_late), total(w), total(w * by_b))
        to.add_curvature(0, 0, paying + total(v_r * by_r))
        to.add_curvature(0, 1, total(r * (w * (in_late - in_early) - n * in_late) + v_r * by_alpha))
        to.add_curvature(0, 2, total(v_r))
        to.add_curvature(0, 3, total(v_r * by_b))
        bent = in_late * (1 - in_late)
        bent_left = bent - in_early * (1 - in_early)
        to.add_curvature(1, 1, total(shape * (w * bent_left - n * bent) + v_alpha * by_alpha))
        to.add_curvature(1, 2, total(v_alpha))
        to.add_curvature(1, 3, total(v_alpha * by_b))
        to.add_curvature(2, 2, total(v))
        to.add_curvature(2, 3, total(v * by_b))
        to.add_curvature(3, 3, total(by_b * (w * (1 + by_b) + v * by_b)))

    def _pay_once(self, theta: Array, to: Losses) -> None:
        """-r ln(alpha+T)."""
        T, n = self.once.columns
        r, alpha = np.exp(theta[:, :2]).T
        spread = self.once.spread(alpha)
        silent = r * self.once.sum(n * np.log(spread + T))
        share = spread / (spread + T)
        falls = r * self.once.sum(n * share)
        to.value -= silent
        to.add_slope(-silent, -falls, 0.0, 0.0)
        to.add_curvature(0, 0, -silent)
        to.add_curvature(0, 1, -falls)
        to.add_curvature(1, 1, -r * self.once.sum(n * share * (1 - share)))
