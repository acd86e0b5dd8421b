"""Actions: the packaged table, every mistake of another at once, and gains that a person can check."""

from datetime import date
from pathlib import Path

import pytest

from ccare.errors import UsageError
from ccare.metrics.definitions import METRIC_BY_ID, SCORED_METRICS
from ccare.runtime.settings import default_conf
from ccare.scoring.actions import FILE_NAME, best, load_actions
from ccare.scoring.policy import load_scoring

DAY = date(2026, 1, 1)
TEXT = (default_conf() / FILE_NAME).read_text()
ACTIONS = load_actions(default_conf(), DAY)
POLICY = load_scoring(default_conf()).for_day(DAY)


def test_the_packaged_table_names_the_six_products() -> None:
    slots = {action.id: action.slot for action in ACTIONS}
    assert slots == {
        "search_direct": "search_box",
        "life_account_content": "life_channel",
        "subscription_messages": "message_reminder",
        "merchant_coupons": "coupon_channel",
        "membership": "membership_channel",
        "payment_success_page": "payment_success",
    }
    moved = {metric for action in ACTIONS for metric in action.metrics}
    assert {m.id for m in SCORED_METRICS} - moved == {"e_refund_rate"}
    assert load_actions(default_conf(), date(2016, 1, 1)) == ()


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    bad = (
        TEXT.replace('"c_mau28", ', '"c_mau29", "r_gmv", "r_arpu", ')
        .replace('slot = "coupon_channel"', 'slot = "coupons"')
        .replace('id = "membership"', 'id = "merchant_coupons"')
    )
    (tmp_path / FILE_NAME).write_text(bad + TEXT[TEXT.index("[[version]]") :])
    with pytest.raises(UsageError) as failure:
        load_actions(tmp_path, DAY)
    for mistake in (
        "unknown metric c_mau29",
        "r_gmv is never scored",
        "r_arpu stands under two actions",
        "unknown slot coupons",
        "action merchant_coupons stands twice",
        "version actions-1 does not start after actions-1",
    ):
        assert mistake in str(failure.value)
    assert "6 mistakes" in str(failure.value)


@pytest.mark.parametrize("spoilt", ["[[version]]\nid = 1\n", "nothing = 1\n", 'version = "x"\n'])
def test_a_file_of_another_form(tmp_path: Path, spoilt: str) -> None:
    (tmp_path / FILE_NAME).write_text(spoilt)
    with pytest.raises(UsageError, match=FILE_NAME):
        load_actions(tmp_path, DAY)


def _drivers(places: dict[str, float], ceilings: tuple[str, ...] = ()) -> dict[str, dict]:
    return {
        name: {
            "dimension": METRIC_BY_ID[name].dimension,
            "percentile": places.get(name, 90.0),
            "target": None if name in ceilings else 1.0,
        }
        for name in POLICY.weights
    }


def test_gains_by_hand() -> None:
    """Without a total a gain is the weighted mean's: reach from 20 to 80 is 60 x 1/6 x 1/4 = 2.5 points."""
    places = {"c_reachable": 20.0, "c_net_reach_rate": 79.0, "a_engagement_rate": 10.0, "e_refund_rate": 0.0}
    gains = best(ACTIONS, _drivers(places), POLICY, total=False)
    # Content: 70 x 1/7 x 1/4 = 2.5 too; the payment page has one more point of growth, 1 x 1/6 x 1/4.
    assert [gain.action.id for gain in gains] == ["payment_success_page", "life_account_content"]
    assert [gain.points for gain in gains] == pytest.approx([2.5 + 1 / 24, 2.5], abs=1e-4)
    assert gains[0].metrics == ("c_reachable", "c_net_reach_rate")


def test_a_ceiling_is_no_goal_and_three_are_enough() -> None:
    low = dict.fromkeys(POLICY.weights, 10.0)
    gains = best(ACTIONS, _drivers(low), POLICY, total=True)
    # From 10 everywhere: coupons lift three dimensions, 10 x (21.67 x 38 x 38 / 1000) ^ 1/4 = 23.65; messages
    # activity to 60 and scale to 21.67, 18.99; membership potential to 52 and efficiency to 24, 18.80.
    assert [g.action.id for g in gains] == ["merchant_coupons", "subscription_messages", "membership"]
    assert [g.points for g in gains] == pytest.approx([13.65, 8.99, 8.80], abs=0.01)
    out_of_reach = best(ACTIONS, _drivers(low, tuple(POLICY.weights)), POLICY, total=True)
    assert out_of_reach == []
