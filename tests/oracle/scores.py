"""Scores recomputed in plain Python from metric rows, straight from the rules; exact where rules are exact.

Knows nothing of Spark. Beta posteriors come from SciPy, so interval bounds agree only to a tolerance.
"""

import math
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from scipy.stats import beta

Row = dict
WEIGHTS = {
    "scale": [
        "c_mau28",
        "c_new_users",
        "c_new_payers",
        "c_reachable",
        "c_net_reach_rate",
        "c_quick_ratio",
    ],
    "activity": [
        "a_stickiness",
        "a_retention_d7",
        "a_retention_d28",
        "a_return_rate",
        "a_engagement_rate",
        "a_message_click_rate",
        "a_content_to_service",
    ],
    "potential": [
        "r_arpu",
        "r_pay_conversion",
        "r_repurchase_90",
        "r_realised_ratio",
        "r_voucher_use_rate",
    ],
    "efficiency": [
        "e_refund_rate",
        "e_discount_rate",
        "e_private_share",
        "e_public_conversion",
        "e_cost_per_new_payer",
    ],
}
COUNTS = ["c_mau28", "c_new_users", "c_new_payers", "c_reachable"]
LOWER = ["e_refund_rate", "e_discount_rate", "e_cost_per_new_payer"]
AMOUNTS = ["c_net_reach_rate", "r_arpu", "r_realised_ratio", "e_public_conversion", "e_cost_per_new_payer"]
POPULATION = {
    "a_stickiness": "c_mau28",
    "r_arpu": "c_mau28",
    "r_pay_conversion": "c_mau28",
    "r_realised_ratio": "r_realised_ratio_users",
    "e_refund_rate": "e_refund_rate_orders",
    "e_discount_rate": "r_orders",
    "e_private_share": "r_orders",
    "e_public_conversion": "public_kiloimpressions_28d",
    "e_cost_per_new_payer": "c_new_payers",
}
"""What n counts where it is not the denominator."""
STATED_20 = [
    "c_net_reach_rate",
    "a_stickiness",
    "r_arpu",
    "r_realised_ratio",
    *WEIGHTS["efficiency"],
]


def parts(row: Row, metric: str) -> tuple[int, int]:
    """Numerator and denominator as scored: the quick ratio as a part of all who came or went."""
    num, den = row[f"{metric}_num"] or 0, row[f"{metric}_den"] or 0
    return (num, num + den) if metric == "c_quick_ratio" else (num, den)


def value_of(row: Row, metric: str) -> float | None:
    if metric in COUNTS:
        return float(row[metric])
    num, den = parts(row, metric)
    return num / den if den else None


def n_of(row: Row, metric: str) -> int | None:
    if metric in COUNTS:
        return None
    if value_of(row, metric) is None:
        return 0
    return row[POPULATION[metric]] if metric in POPULATION else parts(row, metric)[1]


def scaled(metric: str, x: float) -> float:
    if metric in COUNTS:
        return math.log1p(x)
    if metric == "r_arpu":
        return math.copysign(math.log1p(abs(x)), x) if x else 0.0
    return x


def strength(metric: str, peers: list[Row]) -> float:
    """Kleinman (1973) with weights n, in exact fractions; 20 where it is stated or cannot be told."""
    if metric in STATED_20:
        return 20.0
    cells = [(parts(row, metric)[0], n_of(row, metric)) for row in peers if n_of(row, metric)]
    if not cells:
        return 20.0
    total, hits, g = sum(n for _, n in cells), sum(x for x, _ in cells), len(cells)
    p = Fraction(hits, total)
    room = total - Fraction(sum(n * n for _, n in cells), total) - (g - 1)
    if p in (0, 1) or room <= 0:
        return 20.0
    scatter = sum(n * (Fraction(x, n) - p) ** 2 for x, n in cells)
    rho = (scatter / (p * (1 - p)) - (g - 1)) / room
    return 500.0 if rho <= 0 else float(min(max(1 / rho - 1, Fraction(1)), Fraction(500)))


def quantiles(values: list[float]) -> list[float] | None:
    ordered, top = sorted(values), len(values) - 1
    if not ordered:
        return None
    out = []
    for i in range(101):
        below, rest = divmod(i * top, 100)
        low, high = ordered[below], ordered[min(below + 1, top)]
        out.append(min(low + (high - low) * (rest / 100), high))
    return out


def place(q: list[float], x: float) -> float:
    if x in q:
        return (q.index(x) + 100 - q[::-1].index(x)) / 2
    if x < q[0] or x > q[100]:
        return 0.0 if x < q[0] else 100.0
    i = max(j for j in range(101) if q[j] < x)
    return i + (x - q[i]) / (q[i + 1] - q[i])


def half_even(x: float, places: int) -> float:
    return float(Decimal(repr(x)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN))


class Benchmarks:
    """Frozen from the metric rows of one day."""

    def __init__(self, rows: list[Row], min_peers: int = 50) -> None:
        self.active = [row for row in rows if row["c_mau28"] > 0]
        self.min_peers = min_peers
        self.cuts = {}
        for industry in {row["industry"] for row in self.active} | {"*"}:
            sizes = sorted(r["c_mau28"] for r in self.active if industry in ("*", r["industry"]))
            self.cuts[industry] = [sizes[math.ceil(len(sizes) * part / 3) - 1] for part in (1, 2)]
        self.pools: dict = {}

    def group(self, row: Row) -> str:
        industry = row["industry"] if row["industry"] in self.cuts else "*"
        low, high = self.cuts[industry]
        tier = "small" if row["c_mau28"] <= low else "mid" if row["c_mau28"] <= high else "large"
        return f"{industry}/{tier}"

    def pool(self, group: str, metric: str) -> tuple[float | None, float, list[float] | None]:
        """m, k and quantiles of the nearest peers that are enough."""
        industry = group.rsplit("/", 1)[0]
        levels = [
            [row for row in self.active if self.group(row) == group],
            [row for row in self.active if row["industry"] == industry],
            self.active,
        ]
        levels = levels[2:] if industry == "*" else levels[1:] if metric in WEIGHTS["scale"] else levels
        for peers in levels:
            known = [row for row in peers if n_of(row, metric) != 0]
            if len(known) >= self.min_peers or peers is self.active:
                return self._frozen(metric, peers, known)
        raise AssertionError

    def _frozen(self, metric: str, peers: list[Row], known: list[Row]) -> tuple:
        key = (metric, tuple(row["merchant_id"] for row in peers))
        if key not in self.pools:
            mean, k = None, strength(metric, peers)
            if metric not in COUNTS:
                bottom = sum(parts(row, metric)[1] for row in peers)
                mean = sum(parts(row, metric)[0] for row in peers) / bottom if bottom else None
            xs = [scaled(metric, shrunk(metric, row, mean, k)) for row in known]
            self.pools[key] = (mean, k, quantiles(xs))
        return self.pools[key]


def shrunk(metric: str, row: Row, mean: float | None, k: float) -> float | None:
    n, value = n_of(row, metric), value_of(row, metric)
    if n is None:
        return value
    if metric == "e_cost_per_new_payer":
        return (row[f"{metric}_num"] + k * mean) / (n + k)
    return (n * value + k * mean) / (n + k) if n else mean


def interval(metric: str, s: float, n: int | None, k: float, q: list[float]) -> tuple[float, float]:
    x = scaled(metric, s)
    if metric in COUNTS:
        return x, x
    if metric in AMOUNTS:
        half = (q[90] - q[10]) / 2 * math.sqrt(k / (n + k))
        return x - half, x + half
    if not 0 < s < 1:
        return x, x
    low, high = beta.ppf([0.1, 0.9], s * (n + k), (1 - s) * (n + k))
    return min(float(low), x), max(float(high), x)


def driver(bench: Benchmarks, group: str, row: Row, metric: str) -> Row:
    n = n_of(row, metric)
    mean, k, q = bench.pool(group, metric)
    if q is None:
        return {"percentile": 50.0, "low": 50.0, "high": 50.0, "known": False, "shrunk": None, "n": n}
    s = shrunk(metric, row, mean, k)
    points = [place(q, x) for x in (scaled(metric, s), *interval(metric, s, n, k, q))]
    if metric in LOWER:
        points = [100 - p for p in points]
    p, a, b = (half_even(point, 4) for point in points)
    return {"percentile": p, "low": min(a, b), "high": max(a, b), "known": n != 0, "shrunk": s, "n": n}


def score(bench: Benchmarks, group: str, row: Row) -> Row:
    """Drivers by metric, dimension scores and total; scores null where the rules say so."""
    drivers = {m: driver(bench, group, row, m) for names in WEIGHTS.values() for m in names}
    active, out, values = row["events_56d"] > 0, {"drivers": drivers}, {}
    for dimension, names in WEIGHTS.items():
        coverage = Fraction(sum(active and drivers[m]["known"] for m in names), len(names))
        exact = sum(Fraction(Decimal(repr(drivers[m]["percentile"]))) for m in names) / len(names)
        halves = [(drivers[m]["high"] - drivers[m]["low"]) / 2 / len(names) for m in names]
        told = active and coverage >= Fraction(6, 10)
        values[dimension] = exact if told else None
        out[f"{dimension}_half"] = math.sqrt(sum(h * h for h in halves))
        out[f"{dimension}_coverage"] = float(coverage)
        out[f"{dimension}_score"] = _tenth(exact) if told else None
    known = [v for v in values.values() if v is not None]
    total = math.prod(float(max(v, Fraction(1))) for v in known) ** 0.25 if len(known) == 4 else None
    out["total_score"] = None if total is None else half_even(round(total, 9), 1)
    out["status"] = (
        "inactive"
        if not active
        else ["insufficient", "partial", "full"][(len(known) > 0) + (len(known) == 4)]
    )
    return out


def _tenth(exact: Fraction) -> float:
    """One decimal, half-even, of an exact fraction."""
    return float(Fraction(round(exact * 10), 10))
