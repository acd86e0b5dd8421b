"""How figures are told: exact, "<10", bounds or withheld."""

import numpy as np
import pytest

from ccare.exports.cells import columns, parts_of, protected
from ccare.exports.figures import figures
from ccare.exports.orders import ALL, PUBLIC_TOTAL, SLOTS, protected_orders
from ccare.exports.privacy import Shown, money, show, users
from ccare.exports.suppression import Protected
from ccare.exports.words import metric_about, metric_name
from ccare.metrics.definitions import METRIC_BY_ID, SCORED_METRICS


def told(
    metric_id: str,
    value: float,
    numerator: int | None,
    denominator: int | None,
    n: int | None,
    **cells: int,
) -> Shown:
    """What a page says of one driver; cells that are not given are 1,000, parts of ratios as given."""
    metric = METRIC_BY_ID[metric_id]
    given = {f"{metric_id}_num": numerator, f"{metric_id}_den": denominator, **cells}
    counts = {name: np.array([given[name] if given.get(name) is not None else 1000]) for name in columns()}
    numbers = {"value": value, "numerator": numerator, "denominator": denominator, "n": n}
    rows = {k: np.array([np.nan if v is None else v], dtype=float) for k, v in numbers.items()}
    safe = protected(counts).beside(orders_safe(1000, 1000))
    return show(metric, figures(metric, rows, safe, np.array([0])), 0, "USD")


def orders_safe(public: int, everything: int, **slots: int) -> Protected:
    """States of the orders of one merchant; all public ones in one slot where none are given."""
    given = slots or {"search_box": public}
    counts = {slot: np.array([given.get(slot, 0)]) for slot in SLOTS}
    return protected_orders(counts, {PUBLIC_TOTAL: np.array([public]), ALL: np.array([everything])})


@pytest.mark.parametrize(("count", "shown"), [(0, "<10"), (9, "<10"), (10, "10"), (1234, "1,234")])
def test_user_counts(count: int, shown: str) -> None:
    assert users(count) == shown
    assert told("c_reachable", count, count, None, None, c_reachable=count).value.en == shown


@pytest.mark.parametrize(
    ("fen", "shown"), [(0, "0.00"), (7, "0.07"), (-7, "-0.07"), (123456, "1,234.56"), (10**17 + 1, None)]
)
def test_money_is_exact(fen: int, shown: str | None) -> None:
    assert money(fen, "USD") == f"USD {shown or '1,000,000,000,000,000.01'}"


@pytest.mark.parametrize("metric", [m.id for m in METRIC_BY_ID.values() if m.is_ratio])
def test_no_rate_on_nine_users_and_no_way_back_to_it(metric: str) -> None:
    nine = dict.fromkeys(("c_mau28", "c_new_payers", "r_payers", "c_growth_churned", "c_reachable"), 9)
    shown = told(metric, 0.5, 4, 9, 9, **nine)
    assert shown.value.en == "withheld"
    assert shown.numerator.en in ("withheld", "<10")
    money_parts = [p.en for p in (shown.numerator, shown.denominator) if p.en.startswith("USD")]
    assert len(money_parts) < 2, "with both parts the rate could be worked out again"


def test_a_count_of_days_does_not_give_the_users_away() -> None:
    shown = told("a_stickiness", 0.1, 25, 252, 9, c_mau28=9)
    assert (shown.numerator.en, shown.denominator.en, shown.n.en) == ("withheld", "withheld", "<10")


def test_bounds_where_a_rest_is_small() -> None:
    shown = told(
        "a_engagement_rate", 0.96, 96, 100, 100, a_content_to_service_den=100, a_content_to_service_num=50
    )
    assert (shown.value.en, shown.numerator.en, shown.denominator.en) == ("91.0 – 100.0 %", "91 – 100", "100")
    shown = told(
        "a_engagement_rate", 0.04, 4, 100, 100, a_content_to_service_den=100, a_content_to_service_num=50
    )
    assert (shown.value.en, shown.numerator.en) == ("< 10.0 %", "<10")


def test_a_metric_without_data_says_so() -> None:
    assert told("r_arpu", np.nan, 0, 0, 0, c_mau28=0).value.zh == "无数据"


def test_every_ratio_names_what_it_is_made_of() -> None:
    for metric in METRIC_BY_ID.values():
        parts = parts_of(metric)
        assert not metric.is_ratio or parts.guards or parts.payers, f"nothing guards {metric.id}"


def test_every_scored_metric_has_words_in_both_languages() -> None:
    for m in SCORED_METRICS:
        name, about = metric_name(m.id), metric_about(m.id)
        assert name.en != m.id and name.zh != name.en, m.id
        assert about.en == m.definition and about.zh != about.en, m.id
