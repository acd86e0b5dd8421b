"""What points pay for traffic: the slot's own price where it has one, no holdout, and a file that says it wrongly."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ccare.errors import UsageError
from ccare.events.slots import load_slots
from ccare.runtime.settings import default_conf
from jobs import state_changes
from tests.held_lake import held_lake
from tests.state.test_folds import CORES, close_on

DAY = date(2024, 3, 31)


def test_points_pay_the_slot_s_price_for_what_was_served() -> None:
    slots = replace(load_slots(default_conf(), DAY), prices={"paid_ad": 250}, point_cost_fen=3)
    told: list[tuple[str, str, str, int]] = [
        ("search_box", "points", "treated", 10 * 100 * 3),
        ("paid_ad", "points", "treated", 10 * 250 * 3),
        ("search_box", "free", "treated", 0),
        ("search_box", "points", "holdout", 0),
    ]
    rows: list[dict[str, Any]] = [
        {"merchant_id": f"m{n}", "event_type": "delivered", "slot": slot, "source": source, "arm": arm}
        | {"impressions": 10, "clicks": 1, "business_date": DAY, "taken_on": DAY, "origin": "real"}
        for n, (slot, source, arm, _) in enumerate(told)
    ]
    close = replace(close_on(DAY, DAY), slots=slots)
    with held_lake({name: rows if name == "core_traffic_hours" else [] for name in CORES}) as con:
        made = state_changes.build(con, close).to_arrow_table().to_pylist()
    found = {row["merchant_id"]: row for row in made}
    assert [found[f"m{n}"]["points_traffic_mfen"] for n in range(4)] == [cost for *_, cost in told]
    assert [found[f"m{n}"]["public_impressions"] for n in range(4)] == [10, 0, 10, 0]
    assert all(row["impressions"] == 10 for row in found.values())


def test_a_slots_file_without_prices_has_the_defaults(tmp_path: Path) -> None:
    text = (default_conf() / "slots.toml").read_text(encoding="utf-8")
    (tmp_path / "slots.toml").write_text(text.split("# Points for 1,000")[0], encoding="utf-8")
    assert load_slots(tmp_path, DAY) == replace(load_slots(default_conf(), DAY), promotion=None)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("default_price = -1", "default_price: input should be greater than or equal to 0"),
        ("point_cost_fen = 0.5", "point_cost_fen: input should be a valid integer"),
        ('prices = {paid_ad = "dear"}', "prices: paid_ad: input should be a valid integer"),
    ],
)
def test_a_price_is_a_whole_number(tmp_path: Path, line: str, wrong: str) -> None:
    text = (default_conf() / "slots.toml").read_text(encoding="utf-8").split("default_price")[0]
    (tmp_path / "slots.toml").write_text(f"{text}{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(f"slots.toml: 2017-01: points: {wrong}")):
        load_slots(tmp_path, DAY)
