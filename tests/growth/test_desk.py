"""The desk holds what the lake says, for everyone and for each filter, in one page that asks nothing of a network."""

import http.client
import json
import re
import threading
from datetime import date
from pathlib import Path
from typing import Any

import altair
import pytest

from ccare.growth.catalogue import open_snapshot
from ccare.growth.desk import serve, write_desk
from ccare.growth.desk_data import DeskData, read_desk
from ccare.growth.desk_figures import FIGURES, specification
from ccare.growth.queries import run_query
from ccare.runtime import manifest
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from tests.growth.small_events import ACTIVE


@pytest.fixture(scope="session")
def data(built: Settings) -> DeskData:
    with open_snapshot(built, manifest.latest(built.lake)) as con:
        return read_desk(con)


@pytest.fixture(scope="session")
def page(built: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    row = manifest.latest(built.lake)
    assert row
    return write_desk(built.with_(exports=tmp_path_factory.mktemp("desk")), row)


def rows(data: DeskData, name: str, **where: Any) -> list[dict[str, Any]]:
    frame = data.frames[name]
    told = [dict(zip(frame["columns"], row, strict=True)) for row in frame["rows"]]
    return [row for row in told if all(row[k] == v for k, v in where.items())]


def test_growth_is_that_of_the_question_and_of_days_counted_by_hand(
    data: DeskData, settings: Settings
) -> None:
    columns, told = run_query(settings, "growth_accounting")
    for row in (dict(zip(columns, r, strict=True)) for r in told):
        (shown,) = rows(data, "growth", industry="*", provider="*", day=row["as_of_date"].isoformat())
        assert all(shown[k] == row[k] for k in ("new", "retained", "resurrected", "churned"))
    for shown in rows(data, "growth", industry="*", provider="sp1"):
        assert shown == shown | _counted(date.fromisoformat(shown["day"]), {"m1", "m2"}), shown["day"]
    assert len(rows(data, "growth", industry="*", provider="sp1")) >= 8


def _counted(day: date, merchants: set[str]) -> dict[str, int]:
    """Growth accounting by sets, from the days that the small lake was made of."""
    days = [(user, (day - d).days) for m, user, d, _, _ in ACTIVE if m in merchants and user != "u99"]
    now = {u for u, ago in days if 0 <= ago < 28}
    before = {u for u, ago in days if 28 <= ago < 56}
    ever = {u for u, ago in days if ago >= 28}
    told = {"new": now - ever, "retained": now & before, "resurrected": (now & ever) - before}
    return {name: len(users) for name, users in (told | {"churned": before - now}).items()}


def test_filters_pick_figures_of_their_merchants_alone(data: DeskData) -> None:
    assert data.industries == ("DRUG GM", "GROCERY") and data.providers == ("sp1", "sp2")
    assert rows(data, "stages", industry="*", provider="sp2", stage="at_risk")[0]["users"] == 12
    assert rows(data, "stages", industry="*", provider="*", stage="at_risk")[0]["users"] == 15
    assert rows(data, "growth", industry="DRUG GM", provider="*") == [], "m3 has no user"
    everyone = rows(data, "drift", industry="*", provider="*", day="2017-12-31")[0]
    assert (everyone["merchants"], everyone["scored"], everyone["median"]) == (3, 1, 49.3)
    assert rows(data, "trade", industry="GROCERY", provider="sp1")[0] == {
        "industry": "GROCERY",
        "provider": "sp1",
        "net_fen": 37000,
        "net_before_fen": 7900,
        "events": 23,
        "simulated_events": 5,
    }
    (risk,) = rows(data, "at_risk")
    assert (risk["industry"], risk["provider"], risk["merchant_id"]) == ("GROCERY", "sp2", "m4")
    for name in ("scores", "cohorts", "funnels", "traffic", "points"):
        keys = [(r["industry"], r["provider"]) for r in rows(data, name)]
        assert ("*", "*") in keys and ("GROCERY", "sp1") in keys, name


def test_charts_are_sound_and_drawn_from_columns_that_are_there(data: DeskData) -> None:
    for figure in FIGURES:
        spec = specification(figure)
        altair.Chart.from_dict(spec | {"data": {"values": []}})
        made = set(re.findall(r'"as": "(\w+)"', json.dumps(spec)))
        for several in re.findall(r'"as": \[([^\]]+)\]', json.dumps(spec)):
            made |= set(re.findall(r"\w+", several))
        used = set(re.findall(r'"field": "(\w+)"', json.dumps(spec)))
        columns = set(data.frames[figure.frame]["columns"])
        assert used <= made | columns, figure.id
        assert {*figure.bands, figure.needs or figure.frame} <= columns | {figure.frame}, figure.id
        assert figure.filtered == ("industry" in data.frames[figure.frame]["columns"]), figure.id


def test_the_page_stands_alone_and_takes_names_as_data(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert not re.search(r"""(src|href)=(?!["']?data:)""", own), "nothing is fetched"
    assert "default-src 'none'" in own and "connect-src" not in own
    held = re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.S)
    assert held
    content = json.loads(held[1])
    assert "<" not in held[1] and "Corner <b>Bakery</b>" in json.dumps(
        content["frames"]["movers"], ensure_ascii=False
    )
    assert content["facts"]["business_date"] == "2017-12-31"
    assert "\n" not in held[1] and text.count("</script>") == 3


def test_the_same_run_gives_the_same_page(page: Path, settings: Settings, row: Published) -> None:
    assert write_desk(settings, row).read_bytes() == page.read_bytes()


def test_an_empty_lake_has_a_desk_too(tmp_path: Path) -> None:
    empty = Settings(lake=tmp_path / "lake", landing=tmp_path, exports=tmp_path)
    with open_snapshot(empty, None) as con:
        data = read_desk(con)
    assert data.facts == {} and data.industries == ()
    (trade,) = rows(data, "trade")
    assert trade["events"] == trade["net_fen"] == 0
    assert all(not rows(data, name) for name in data.frames if name != "trade")


def test_it_is_served_on_loopback_alone(page: Path) -> None:
    with serve(page, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert _get(server.server_port, "/") == (200, page.read_bytes())
            assert _get(server.server_port, "/manifest.json")[0] == 404
            assert _get(server.server_port, "/../ccare.duckdb")[0] == 404
            assert _get(server.server_port, "/", host="elsewhere.example")[0] == 403, "DNS rebinding"
        finally:
            server.shutdown()


def _get(port: int, path: str, host: str | None = None) -> tuple[int, bytes]:
    con = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    con.request("GET", path, headers={"Host": host} if host else {})
    answer = con.getresponse()
    return answer.status, answer.read()
