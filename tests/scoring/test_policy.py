"""Scoring policy: every mistake at once, versions by date, the product's own file where a folder has none."""

from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ccare.errors import InputMissing, UsageError
from ccare.metrics.definitions import DIMENSIONS, METRICS
from ccare.runtime.settings import default_conf
from ccare.scoring.policy import FILE_NAME, load_scoring, parse_scoring

WHOLE = (default_conf() / FILE_NAME).read_text()
TEXT = WHOLE[: WHOLE.index("# Every metric that docs")]
"""The first version alone: a short policy to spoil."""


def _mistakes(conf: Path, text: str) -> str:
    (conf / FILE_NAME).write_text(text)
    with pytest.raises(UsageError) as failure:
        load_scoring(conf)
    assert failure.value.exit_code == 2
    return str(failure.value)


def test_packaged_policy_weighs_equally_and_sums_to_one() -> None:
    policy = load_scoring(default_conf()).for_day(date(2017, 12, 31))
    assert set(policy.dimensions.values()) == {0.25}
    for dimension in DIMENSIONS:
        weights = {policy.weights[name] for name in policy.metrics_of(dimension)}
        assert len(weights) == 1
        assert sum(policy.weights[name] for name in policy.metrics_of(dimension)) == pytest.approx(
            1, abs=1e-15
        )


def test_the_version_in_force_weighs_every_metric_that_can_be_scored() -> None:
    policy = load_scoring(default_conf()).for_day(date(2026, 1, 1))
    assert set(policy.weights) == {metric.id for metric in METRICS if metric.scored}
    assert len(policy.weights) == 23


def test_the_demo_differs_in_its_coverage_floor_alone() -> None:
    own, demo = (load_scoring(conf).versions for conf in (default_conf(), default_conf() / "demo"))
    assert demo[:-1] == own[:-1]
    assert demo[-1] == replace(own[-1], version="demo-2", coverage_floor=0.55)


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
def test_numbers_that_are_none(tmp_path: Path, number: str) -> None:
    bad = TEXT.replace("shrink_max = 500", f"shrink_max = {number}").replace(
        "a_stickiness = 0.5", f"a_stickiness = {number}"
    )
    told = _mistakes(tmp_path, bad)
    assert "shrink_max is" in told and "the weight of a_stickiness is" in told


def test_moments_are_only_taken_of_people_counted_in_people() -> None:
    """Kleinman's estimator needs x of n people: n is the ratio's own denominator."""
    for metric in METRICS:
        if metric.scored and metric.is_ratio and metric.fixed_k is None:
            assert metric.is_proportion
            own = metric.population == f"{metric.id}_den" or metric.scored_as == "part_of_whole"
            assert own or metric.id == "r_pay_conversion"


def test_folder_without_the_file_uses_the_product_s_own(tmp_path: Path) -> None:
    assert load_scoring(tmp_path) == load_scoring(default_conf())


def test_version_in_force(tmp_path: Path) -> None:
    second = TEXT.replace('id = "scoring-1"', 'id = "scoring-2"').replace(
        "from = 2000-01-01", "from = 2024-01-01"
    )
    (tmp_path / FILE_NAME).write_text(TEXT + second)
    policies = load_scoring(tmp_path)
    assert policies.for_day(date(2023, 12, 31)).version == "scoring-1"
    assert policies.for_day(date(2024, 1, 1)).version == "scoring-2"
    with pytest.raises(UsageError, match="No scoring policy is in force on 1999-12-31"):
        policies.for_day(date(1999, 12, 31))


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    bad = (
        TEXT.replace("scale = 0.25", "scale = 0.5")
        .replace("c_mau28 = 0.33333", "c_mau29 = 0.33333")
        .replace("a_stickiness = 0.5", "a_stickiness = 0.5\nr_arpu = 0.1")
        .replace("e_refund_rate = 0.5", "e_refund_rate = -1")
        .replace("r_repurchase_90 = 0.33333", "r_gmv = 0.33333")
        .replace("target_percentile = 80\n", "")
        .replace("coverage_floor = 0.6", "coverage_flor = 0.6\ncoverage_floor = 60")
        .replace("min_peers = 50", "min_peers = 2.5")
    )
    told = _mistakes(tmp_path, bad)
    for mistake in (
        "dimensions: the weights sum to 1.25, not to 1",
        "weights.scale: unknown metric c_mau29",
        "weights.activity: r_arpu belongs to potential",
        "weights.activity: the weights sum to 1.1, not to 1",
        "the weight of e_refund_rate is -1, not a number of at least 0",
        "r_gmv is shown and never scored",
        "target_percentile is missing",
        "unknown key coverage_flor",
        "coverage_floor is 60, not a number from 0 to 1",
        "min_peers is 2.5, not a whole number",
    ):
        assert f"\n  - version scoring-1: {mistake}" in told or mistake in told, mistake
    assert "10 mistakes" in told


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("2000-01-01", "versions scoring-1 and scoring-2 both start on 2000-01-01"),
        ("1999-01-01", "version scoring-2 starts on 1999-01-01, before scoring-1 above it"),
        ('"2024-01-01"', "version scoring-2: from is missing or not a date"),
    ],
)
def test_dates_that_overlap_or_run_backwards(tmp_path: Path, start: str, said: str) -> None:
    second = TEXT.replace('id = "scoring-1"', 'id = "scoring-2"').replace(
        "from = 2000-01-01", f"from = {start}"
    )
    assert said in _mistakes(tmp_path, TEXT + second)


def test_one_id_twice(tmp_path: Path) -> None:
    second = TEXT.replace("from = 2000-01-01", "from = 2024-01-01")
    assert "version id scoring-1 is used twice" in _mistakes(tmp_path, TEXT + second)


def test_not_toml_and_empty(tmp_path: Path) -> None:
    assert "is not TOML" in _mistakes(tmp_path, "[[version]\n")
    assert "there is no [[version]] section" in _mistakes(tmp_path, "")
    assert parse_scoring({"version": [deepcopy({})]})[1]


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccare.runtime.policy_file.default_conf", lambda: tmp_path)
    with pytest.raises(InputMissing, match="cannot be read"):
        load_scoring(tmp_path)
