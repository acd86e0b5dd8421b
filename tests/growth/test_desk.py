"""The desk holds what the lake says, for everyone and for each filter, in one page that asks nothing of a network."""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import altair
import pytest

from ccare.events.rules import BEFORE_TYPING
from ccare.events.slots import load_slots
from ccare.exports.words import LANGUAGES, Words
from ccare.growth.catalogue import open_snapshot
from ccare.growth.desk import serve, write_desk
from ccare.growth.desk_data import DeskData, read_desk
from ccare.growth.desk_figures import FIGURES, specification
from ccare.growth.desk_values import VALUE
from ccare.growth.desk_words import COLUMN, TEXT
from ccare.growth.queries import run_query
from ccare.ledger.policy import load_ledger
from ccare.metrics.definitions import SCORED_METRICS
from ccare.runtime import manifest
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings, default_conf
from ccare.tables.metric import STAGES
from ccare.tables.state import FUNNEL_SLOTS, FUNNEL_STEPS
from tests.growth.small_events import ACTIVE

ROOT = Path(__file__).resolve().parents[2]
NO_HAN = {"locale", "comma", "percent", "merchant"}
"""Texts without a word in them."""


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
    for figure, language in product(FIGURES, LANGUAGES):
        spec = specification(figure, language)
        altair.Chart.from_dict(spec | {"data": {"values": []}})
        made = set(re.findall(r'"as": "(\w+)"', json.dumps(spec)))
        for several in re.findall(r'"as": \[([^\]]+)\]', json.dumps(spec)):
            made |= set(re.findall(r"\w+", several))
        used = set(re.findall(r'"field": "(\w+)"', json.dumps(spec)))
        columns = set(data.frames[figure.frame]["columns"])
        assert used <= made | columns, figure.id
        assert {*figure.bands, figure.needs or figure.frame} <= columns | {figure.frame}, figure.id
        assert figure.filtered == ("industry" in data.frames[figure.frame]["columns"]), figure.id


def has_han(text: str) -> bool:
    return re.search("[\u4e00-\u9fff]", text) is not None


def test_whatever_is_declared_is_said_in_both_languages() -> None:
    told: dict[str, Words] = {**TEXT, **{f"column {name}": words for name, words in COLUMN.items()}}
    for figure in FIGURES:
        told |= {f"{figure.id} {part}": getattr(figure, part) for part in ("title", "note", "empty")}
    told |= {f"{column} {name}": VALUE[column](name) for column, name in _ids()}
    lacking = [k for k, words in told.items() if k not in NO_HAN and not has_han(words.zh)]
    assert lacking == [], "no Chinese"
    assert [k for k, words in told.items() if has_han(words.en) or not words.en] == [], "no English"
    for name, (english, chinese) in told.items():
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", chinese)), name


def _ids() -> Iterator[tuple[str, str]]:
    """Every id that a row may hold by what is declared: (column, id)."""
    conf, rules = default_conf(), (ROOT / "docs" / "how-to" / "quality.md").read_text(encoding="utf-8")
    slots, policy = load_slots(conf, date(2026, 2, 1)), load_ledger(conf).for_day(date(2026, 2, 1))
    yield from product(["stage"], STAGES)
    yield from product(["step"], FUNNEL_STEPS)
    yield from product(["slot"], {*FUNNEL_SLOTS, *slots.names, *slots.public, "all"})
    yield from product(["source"], ("free", "points", "paid"))
    yield from product(["moment"], ("now", "before"))
    yield from product(["asset"], {pool.asset for pool in policy.pools})
    yield from product(["pool"], (pool.name for pool in policy.pools))
    yield from product(["programme"], {programme.name for programme in policy.programmes})
    yield from product(["driver"], (metric.id for metric in SCORED_METRICS))
    told = re.findall(r"`((?:missing|bad|unknown|duplicate)_\w+|\w+_(?:conflict|future))`", rules)
    yield from product(["reason"], {*BEFORE_TYPING, *told, "forgotten_user", "bill_line_conflict"})


def test_columns_of_figures_have_a_name_and_those_with_ids_words(data: DeskData) -> None:
    for figure in FIGURES:
        assert set(data.frames[figure.frame]["columns"]) - {"industry", "provider"} <= set(COLUMN), figure.id


def test_charts_are_titled_in_their_language() -> None:
    for figure in FIGURES:
        english, chinese = (list(_titles(specification(figure, language))) for language in LANGUAGES)
        assert len(english) == len(chinese) >= 2, figure.id
        assert [t for t in chinese if not has_han(t)] == [], figure.id
        assert [t for t in english if has_han(t)] == [], figure.id


def _titles(spec: Any) -> Iterator[str]:
    """Titles, descriptions and domains of words, wherever they stand."""
    for key, value in spec.items() if isinstance(spec, dict) else enumerate(spec):
        if key in ("title", "description") and isinstance(value, str):
            yield value
        elif key == "domain" and isinstance(value[0], str):
            yield from value
        elif isinstance(value, dict | list):
            yield from _titles(value)


def test_the_script_holds_no_sentence() -> None:
    script = (ROOT / "ccare" / "exports" / "templates" / "desk.js").read_text(encoding="utf-8")
    code = re.sub(r"/\*\*.*?\*/|//[^\n]*", "", script, flags=re.S)
    literals = [re.sub(r"\$\{[^}]*\}", "", a or b) for a, b in re.findall(r'"([^"\n]*)"|`([^`\n]*)`', code)]
    assert [text for text in literals if re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", text)] == []


def test_a_lake_of_yuan_opens_in_chinese(settings: Settings, row: Published) -> None:
    text = write_desk(settings.with_(currency="CNY"), row).read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in text and "<title>增长工作台 2017-12-31</title>" in text
    assert 'id="zh" checked' in text and 'id="en" checked' not in text
    assert '<option value="*" data-text="all_industries">全部行业</option>' in text
    assert '<span lang="zh-Hans">演示条款：' in text, "the policy's notes too"


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
