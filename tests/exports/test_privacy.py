"""Counts below 10 and rates on fewer than 10 users stay in the house."""

import pytest

from ccare.exports.privacy import money, show, users
from ccare.exports.words import metric_about, metric_name
from ccare.metrics.definitions import SCORED_METRICS


@pytest.mark.parametrize(("count", "shown"), [(0, "<10"), (9, "<10"), (10, "10"), (1234, "1,234")])
def test_user_counts(count: int, shown: str) -> None:
    assert users(count) == shown
    assert show("c_mau28", float(count), count, None, count, 0, "USD").value.en == shown


@pytest.mark.parametrize(
    ("fen", "shown"), [(0, "0.00"), (7, "0.07"), (-7, "-0.07"), (123456, "1,234.56"), (10**17 + 1, None)]
)
def test_money_is_exact(fen: int, shown: str | None) -> None:
    assert money(fen, "USD") == f"USD {shown or '1,000,000,000,000,000.01'}"


@pytest.mark.parametrize("metric", [m.id for m in SCORED_METRICS if m.is_ratio])
def test_no_rate_on_nine_users_and_no_way_back_to_it(metric: str) -> None:
    shown = show(metric, 0.5, 4, 9, 9, 9, "USD")
    assert shown.value.en == "withheld"
    assert shown.numerator not in ("4", "USD 0.04") or metric == "r_arpu"
    assert shown.n in ("<10", "9") and not (
        shown.numerator.startswith("USD") and shown.denominator.startswith("USD")
    )


def test_a_count_of_days_does_not_give_the_users_away() -> None:
    shown = show("a_stickiness", 0.1, 25, 252, 9, 9, "USD")
    assert (shown.numerator, shown.denominator, shown.n) == ("–", "–", "<10")


def test_a_metric_without_data_says_so() -> None:
    assert show("r_arpu", None, 0, 0, 0, 0, "USD").value.zh == "无数据"


def test_every_scored_metric_has_words_in_both_languages() -> None:
    for m in SCORED_METRICS:
        name, about = metric_name(m.id), metric_about(m.id)
        assert name.en != m.id and name.zh != name.en, m.id
        assert about.en == m.definition and about.zh != about.en, m.id
