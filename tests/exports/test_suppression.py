"""An attacker with every figure that is told, and with sums and differences of them, learns no small count.

The attack is written from the metrics' definitions alone: each text of a row is an equation or a bound in unknown
counts, and a linear programme says between what a count can lie.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import linprog

from ccare.exports.cells import columns, protected
from ccare.exports.drivers import _texts
from ccare.exports.figures import figures, suppressed
from ccare.exports.suppression import FEW, HELD, SHOWN, Relation, protect
from ccare.metrics.definitions import METRIC_BY_ID

MERCHANTS = 40
LEAST = 4
"""A hidden count can be one of at least so many numbers."""

# What a reader knows to be equal: whole = sum of parts. Counts by their own names, not the product's.
SUMS = {
    "active": ("new", "retained", "resurrected"),
    "active_before": ("retained", "churned"),
    "came": ("new", "resurrected"),
    "active ": ("payers", "active_not_paying"),
    "buyers": ("repeaters", "single_buyers"),
    "viewers": ("engaged", "viewers_not_engaged"),
    "viewers ": ("served", "viewers_not_served"),
    "delivered": ("clicked", "delivered_not_clicked"),
    "cohort7": ("stayed7", "left7"),
}
# metric: numerator, denominator, in those names.
TOLD = {
    "c_mau28": ("active", None),
    "c_new_users": ("new", None),
    "c_growth_new": ("new", None),
    "c_growth_retained": ("retained", None),
    "c_growth_resurrected": ("resurrected", None),
    "c_growth_churned": ("churned", None),
    "r_payers": ("payers", None),
    "c_quick_ratio": ("came", "churned"),
    "a_return_rate": ("retained", "active_before"),
    "r_pay_conversion": ("payers", "active"),
    "r_repurchase_90": ("repeaters", "buyers"),
    "a_engagement_rate": ("engaged", "viewers"),
    "a_content_to_service": ("served", "viewers"),
    "a_message_click_rate": ("clicked", "delivered"),
    "a_retention_d7": ("stayed7", "cohort7"),
    "a_stickiness": (None, "active"),
    "r_arpu": (None, "active"),
    "a_l28": (None, "active"),
}


def _world(rng: np.random.Generator) -> dict[str, npt.NDArray[np.int64]]:
    """Counts that hold every sum, small ones common, some sums at their very edges."""

    def some(scale: int = 60) -> npt.NDArray[np.int64]:
        small = rng.integers(0, 12, MERCHANTS)
        return np.where(rng.random(MERCHANTS) < 0.6, small, rng.integers(0, scale, MERCHANTS))

    names = {part for parts in SUMS.values() for part in parts}
    world = {name: some() for name in sorted(names)}
    world["new"][:20] = world["retained"][:20] = world["resurrected"][:20] = 9
    for whole, parts in SUMS.items():
        if whole.strip() not in world and not whole.endswith(" "):
            world[whole] = sum(world[p] for p in parts)
    world["payers"] = np.minimum(world["payers"], world["active"])
    world["served"] = np.minimum(world["served"], world["viewers"])
    world["active_not_paying"] = world["active"] - world["payers"]
    world["viewers_not_served"] = world["viewers"] - world["served"]
    return world


def _metrics(world: dict[str, npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.int64]]:
    found = {name: np.full(MERCHANTS, 500) for name in columns()}
    for metric, (num, den) in TOLD.items():
        for name, column in ((num, f"{metric}_num"), (den, f"{metric}_den"), (num, metric)):
            if name and column in found:
                found[column] = world[name]
    return found


def _told(world: dict[str, npt.NDArray[np.int64]], safe: Any) -> dict[str, dict[str, list[str]]]:
    """Texts as drivers.csv has them: metric -> figure -> text of each merchant."""
    texts = {}
    for name, (num, den) in TOLD.items():
        metric = METRIC_BY_ID[name]
        bottom = world[den].astype(float) if den else np.full(MERCHANTS, np.nan)
        top = world[num].astype(float) if num else bottom * 7 + 3
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.where(bottom > 0, top / bottom, np.nan) if den else top
        if name == "a_stickiness":
            bottom, value = bottom * 28, value / 28
        n = world[den].astype(float) if den else np.full(MERCHANTS, np.nan)
        rows = {"value": value, "numerator": top, "denominator": bottom, "n": n}
        told = figures(metric, rows, safe, np.arange(MERCHANTS))
        texts[name] = {part: _texts(getattr(told, part), name, part).to_pylist() for part in rows}
    return texts


class Attack:
    """Equations and bounds about one merchant."""

    def __init__(self) -> None:
        self.names = sorted({n.strip() for whole, parts in SUMS.items() for n in (whole, *parts)})
        self.low = dict.fromkeys(self.names, 0.0)
        self.high = dict.fromkeys(self.names, 1e6)
        self.rows: list[tuple[dict[str, float], float]] = [
            ({whole.strip(): 1.0, **dict.fromkeys(parts, -1.0)}, 0.0) for whole, parts in SUMS.items()
        ]
        self.limits: list[tuple[dict[str, float], float]] = []

    def count(self, name: str, text: str | None, times: float = 1.0) -> None:
        """A count, or a multiple of it, as told."""
        if not text or text == "withheld":
            return
        low, high = (0.0, float(text[1:]) - 1) if text.startswith("<") else _ends(text)
        self.low[name] = max(self.low[name], low / times)
        self.high[name] = min(self.high[name], high / times)

    def rate(self, num: str | None, den: str, text: str | None, top: str | None, times: float = 1.0) -> None:
        """A rate as told: num is within rate x den; where num is told (money, days), den follows."""
        if not text or text == "withheld":
            return
        low, high = (0.0, float(text[1:])) if text.startswith("<") else _ends(text)
        low, high = (low - 1e-6) * times, (high + 1e-6) * times
        if num:
            self.limits += [({num: 1.0, den: -high}, 0.0), ({num: -1.0, den: low}, 0.0)]
        elif top and top[0].isdigit() and low > 0:
            self.high[den] = min(self.high[den], float(top) / low)
            self.low[den] = max(self.low[den], float(top) / high)

    def range_of(self, name: str) -> tuple[float, float]:
        """Least and greatest that the count can be."""
        place = {n: i for i, n in enumerate(self.names)}

        def matrix(rows: list[tuple[dict[str, float], float]]) -> npt.NDArray[np.float64]:
            found = np.zeros((len(rows), len(self.names)))
            for i, (terms, _) in enumerate(rows):
                for n, factor in terms.items():
                    found[i, place[n]] += factor
            return found

        ends = []
        for sign in (1.0, -1.0):
            aim = np.zeros(len(self.names))
            aim[place[name]] = sign
            result = linprog(
                aim,
                A_ub=matrix(self.limits) if self.limits else None,
                b_ub=[b + 1e-6 for _, b in self.limits] if self.limits else None,
                A_eq=matrix(self.rows),
                b_eq=[b for _, b in self.rows],
                bounds=[(self.low[n], self.high[n]) for n in self.names],
            )
            assert result.status in (0, 3), result.message
            ends.append(sign * result.fun if result.status == 0 else np.inf)
        return ends[0], ends[1]


def _ends(text: str) -> tuple[float, float]:
    low, _, high = text.partition("..")
    return float(low), float(high or low)


@pytest.mark.parametrize("seed", [1, 2])
def test_differences_give_no_small_count_away(seed: int) -> None:
    world = _world(np.random.default_rng(seed))
    safe = protected(_metrics(world))
    texts = _told(world, safe)
    exact = 0
    for at in range(MERCHANTS):
        attack = Attack()
        for name, (num, den) in TOLD.items():
            of = {part: text[at] for part, text in texts[name].items()}
            if num:
                attack.count(num, of["numerator"])
            if den:
                attack.count(den, of["n"])
                attack.count(den, of["denominator"], 28 if name == "a_stickiness" else 1)
                attack.rate(num, den, of["value"], of["numerator"], 28 if name == "a_stickiness" else 1)
        for name in attack.names:
            truth = int(world[name][at])
            if truth < 10:
                # Half a count on either side: rates are told to six decimals.
                low, high = attack.range_of(name)
                assert low - 0.5 <= truth <= high + 0.5, (name, truth, low, high)
                assert np.floor(high + 0.5) - np.ceil(low - 0.5) + 1 >= LEAST, (at, name, truth, low, high)
        exact += sum(attack.low[name] == attack.high[name] for name in attack.names)
    assert exact > 2 * MERCHANTS, "most large counts are still told"


def test_a_sum_at_its_edge_gives_up_its_whole() -> None:
    nines = {name: np.array([9]) for name in ("a", "b", "c")}
    safe = protect(
        {**nines, "whole": np.array([27])}, [Relation("whole", ("a", "b", "c"), ("a", "b", "c", "whole"))]
    )
    assert {n: int(s[0]) for n, s in safe.state.items()} == {"a": FEW, "b": FEW, "c": FEW, "whole": HELD}


def test_what_was_hidden_once_stays_hidden() -> None:
    cells = {"a": np.array([12, 12]), "b": np.array([40, 40]), "whole": np.array([52, 52])}
    relation = [Relation("whole", ("a", "b"), ("a", "b", "whole"))]
    before = {"a": np.array([True, False])}
    safe = protect(cells, relation, before=before)
    assert [int(s) for s in safe.state["a"]] == [HELD, SHOWN]
    assert [int(s) for s in safe.state["b"]] == [HELD, SHOWN], "with b the old a would be known"
    # Told 9 as "<10" before and 12 now: no single row's coming can be seen.
    assert safe.high["a"][0] - safe.low["a"][0] >= 4


def test_the_manifest_can_say_what_is_hidden() -> None:
    world = _world(np.random.default_rng(3))
    hidden = suppressed(protected(_metrics(world)))[0]
    assert hidden["c_new_users"] == "few" and not any(name.endswith("_rest") for name in hidden)
