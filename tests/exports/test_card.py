"""card.html: adds up, tells what is simulated, escapes, needs nothing but itself."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ccare.errors import InputMissing, IntegrityBroken, UsageError
from ccare.exports.card_data import read_card
from ccare.exports.files import checked_id
from ccare.exports.merchants import export_merchants
from ccare.exports.words import metric_name
from ccare.growth.snapshot import connect
from ccare.metrics.definitions import DIMENSIONS, SCORED_METRICS
from ccare.runtime import manifest
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings


@dataclass
class Page(HTMLParser):
    """Rows of cells of each table, tags and attributes met, and the text of one language."""

    language: str = "en"
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    skipping: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self.void = {"meta", "input", "line", "circle", "polygon", "polyline", "br"}
        self.cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        other = {"en": "zh-Hans", "zh": "en"}[self.language]
        hidden = tag == "style" or (tag == "span" and found.get("lang") == other)
        if (self.skipping or hidden) and tag not in self.void:
            self.skipping += 1
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = []

    def handle_endtag(self, tag: str) -> None:
        if self.skipping:
            self.skipping -= 1
        elif tag in ("td", "th") and self.cell is not None:
            self.tables[-1][-1].append(" ".join("".join(self.cell).split()))
            self.cell = None

    def handle_data(self, data: str) -> None:
        if not self.skipping:
            self.text.append(data)
            if self.cell is not None:
                self.cell.append(data)


def page(path: Path, language: str = "en") -> Page:
    parsed = Page(language)
    parsed.feed(path.read_text(encoding="utf-8"))
    return parsed


def write_card(settings: Settings, row: Published, merchant: str) -> Path:
    return export_merchants(settings, row, named=[merchant]).folders[0] / "card.html"


@pytest.fixture(scope="module")
def card(built: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    published = manifest.latest(built.lake)
    assert published
    return write_card(built.with_(exports=tmp_path_factory.mktemp("card")), published, "m1")


def test_it_stands_where_it_should(card: Path) -> None:
    assert card.parts[-4:] == ("merchants", "m1", "2017-12-31", "card.html")
    assert sorted(p.name for p in card.parent.iterdir()) == [
        *("card.html", "drivers.csv", "manifest.json", "report.xlsx", "scores.csv", "statement.csv")
    ]


def test_it_needs_nothing_but_itself_and_escapes_names(card: Path) -> None:
    source = card.read_text()
    found = page(card)
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in found.tags}
    assert not re.search(r"https?:|url\(|@import|\bon\w+=", source)
    assert not any({"src", "href"} & set(attrs) for _, attrs in found.tags)
    assert "Corner &lt;b&gt;Bakery&lt;/b&gt; &amp; Söhne 面包房" in source
    assert "default-src &#39;none&#39;" in source or "default-src 'none'" in source


def test_tables_and_charts_can_be_heard(card: Path) -> None:
    found = page(card)
    cells = [attrs for tag, attrs in found.tags if tag == "th"]
    assert cells and all(attrs.get("scope") in ("row", "col") for attrs in cells)
    ids = {attrs["id"] for _, attrs in found.tags if "id" in attrs}
    labelled = [attrs["aria-labelledby"] for _, attrs in found.tags if "aria-labelledby" in attrs]
    assert labelled and set(labelled) <= ids
    charts = [attrs for tag, attrs in found.tags if tag == "svg"]
    named = [c["aria-labelledby"] for c in charts if c.get("role") == "img"]
    assert named == ["caption-total", "caption-month"]
    assert sum(c.get("aria-hidden") == "true" for c in charts) == len(DIMENSIONS) == len(charts) - 2
    headings = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1 and all(b - a <= 1 for a, b in pairwise(headings))


def test_contributions_as_shown_add_up_to_the_score(card: Path, small_lake: ModuleType) -> None:
    tables = [t for t in page(card).tables if t[0][0] == "Metric"]
    assert len(tables) == 4
    for dimension, (_, *rows, total) in zip(DIMENSIONS, tables, strict=True):
        shown = [round(float(r[-1]) * 100) for r in rows]
        assert sum(shown) == round(float(total[-1]) * 100)
        weighed = [m for m in SCORED_METRICS if m.id in small_lake.WEIGHTS]
        declared = [m.id for m in weighed if m.dimension == dimension]
        made = sum(small_lake.WEIGHTS[m] * small_lake.percentile(m, small_lake.LAST) for m in declared)
        assert float(total[-1]) == pytest.approx(made, abs=0.005)
        assert total[0].endswith(f"score {made:.1f}")


def test_transfers_as_shown_add_up_to_the_balance(card: Path) -> None:
    (granted,) = [t for t in page(card).tables if t[0][0] == "Where"]
    parts = [int(r[1]) for r in granted[1:]]
    assert parts == [45, 60, 70, 30, 205]
    (moves,) = [t for t in page(card).tables if t[0][0] == "Booked"]
    _, before, *rows, total = moves
    assert before[0] == "Brought forward, 0 earlier transfers" and len(rows) == 7
    for column, expected in ((4, 45), (5, 60)):
        units = [int(r[column].replace("−", "-") or 0) for r in rows]
        assert sum(units) == expected == int(total[column - 3])
    assert rows[-1][-1] == total[-1] == "105"


def test_many_transfers_are_brought_forward(settings: Settings, row: Published, monkeypatch: object) -> None:
    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    monkeypatch.setattr("ccare.exports.points_data.LAST_TRANSFERS", 3)
    with connect(settings.lake, row) as con:
        points = read_card(con, "m1").points
    assert (points.earlier, points.before_pending, points.before_active) == (4, 60, 70)
    assert [(m.code, m.pending, m.active) for m in points.movements] == [
        ("activate", -60, 60),
        ("expire", 0, -70),
        ("earn", 45, 0),
    ]


def test_small_groups_are_not_shown(card: Path) -> None:
    cells = {r[0].split(".")[0]: r for t in page(card).tables if t[0][0] == "Metric" for r in t[1:-1]}
    by_name = {name: r[1:5] for name, r in cells.items()}

    def of(name: str) -> list[str]:
        return next(v for k, v in by_name.items() if k.startswith(name))

    assert of("Active users, 28 days") == ["12", "12", "–", "12"]
    assert of("New users") == ["<10", "<10", "–", "<10"]
    assert of("Return rate") == ["withheld", "<10", "<10", "<10"]
    assert of("Paying share") == ["< 83.3 %", "<10", "12", "12"]
    assert of("Net amount per active user") == ["USD 25.00", "USD 300.00", "12", "12"]
    assert of("Discount rate") == ["withheld", "withheld", "USD 350.00", "14"], "orders of 7 payers"
    assert "fewer than 10 users is withheld" in "".join(page(card).text)


def test_simulated_parts_and_the_policy_are_told_in_both_languages(card: Path) -> None:
    english, chinese = "".join(page(card).text), "".join(page(card, "zh").text)
    assert "23.8 % come from a seeded simulator" in english
    assert "23.8 % 来自带种子的模拟器" in chinese
    assert english.count("part simulated") == 5 + 1 and chinese.count("含模拟数据") >= 6
    assert "points mature 3 days after the sale" in english
    assert "amounts in USD" in english
    spans = [attrs["lang"] for tag, attrs in page(card).tags if tag == "span" and "lang" in attrs]
    assert spans.count("en") == spans.count("zh-Hans") > 50
    radios = [attrs for tag, attrs in page(card).tags if tag == "input"]
    assert [r["id"] for r in radios] == ["en", "zh"] and "checked" in radios[0]


def test_changes_of_drivers_add_up_to_the_scores_change(card: Path, small_lake: ModuleType) -> None:
    tables = [t for t in page(card).tables if t[0][0] == "Metric"]
    for dimension, (_, *rows, total) in zip(DIMENSIONS, tables, strict=True):
        shown = [float(r[-2].replace("−", "-")) for r in rows]
        assert round(sum(shown), 2) == float(total[-2].replace("−", "-"))
        declared = [m.id for m in SCORED_METRICS if m.dimension == dimension and m.id in small_lake.WEIGHTS]
        moved = sum(
            small_lake.WEIGHTS[m]
            * (small_lake.percentile(m, small_lake.LAST) - small_lake.percentile(m, small_lake.FIRST))
            for m in declared
        )
        assert float(total[-2].replace("−", "-")) == pytest.approx(moved, abs=0.0051)
        assert "change since 2017-12-24" in total[0]


def test_the_three_actions_are_those_that_gain_most(card: Path, small_lake: ModuleType) -> None:
    """Recomputed: the total is the fourth root of the four scores' product."""
    scores = {}
    for dimension in DIMENSIONS:
        mine = [m.id for m in SCORED_METRICS if m.dimension == dimension and m.id in small_lake.WEIGHTS]
        scores[dimension] = round(
            sum(small_lake.WEIGHTS[m] * small_lake.percentile(m, small_lake.LAST) for m in mine), 1
        )
    total = round(float(np.prod(list(scores.values()))) ** 0.25, 1)
    gains = {}
    for m in SCORED_METRICS:
        if m.id in small_lake.WEIGHTS and small_lake.M1_VALUES[m.id][4] is not None:
            more = small_lake.WEIGHTS[m.id] * (80 - small_lake.percentile(m.id, small_lake.LAST))
            score = scores[m.dimension]
            gains[m.id] = total * (((score + more) / score) ** 0.25 - 1)
    best = sorted(gains, key=lambda m: -gains[m])[:3]
    text = " ".join("".join(page(card).text).split())
    shown = re.findall(r"\+([\d.]+) Total ([A-Z].*?) (?:[A-Z][a-z]+ )", text)
    assert [float(gain) for gain, _ in shown] == pytest.approx([gains[m] for m in best], abs=0.06)
    for m in best:
        assert metric_name(m).en in text


def test_points_of_the_month_are_told(card: Path) -> None:
    text = " ".join("".join(page(card).text).split())
    assert re.search(r"Earned since 2017-12-01 ?205 ", text)
    assert re.search(r"Expire within 30 days if not used ?105 ", text)


def test_a_merchant_with_real_events_only_has_no_mark(settings: Settings, row: Published) -> None:
    text = "".join(page(write_card(settings, row, "m2")).text)
    # The demo's policy notes may say that its providers are simulated; of this merchant nothing is.
    assert "Simulated data." not in text and "part simulated" not in text
    assert "too little data to score" in text and "Owed: 8" in " ".join(text.split())


def test_an_inactive_merchant_still_has_a_card(settings: Settings, row: Published) -> None:
    assert "no activity in the last 56 days" in "".join(page(write_card(settings, row, "m3")).text)


def test_unknown_merchants_are_answered_with_near_names(settings: Settings, row: Published) -> None:
    with pytest.raises(
        InputMissing, match=r"No merchant m11 is scored on 2017-12-31.*m1 \(.*Bakery"
    ) as error:
        write_card(settings, row, "m11")
    assert error.value.exit_code == 20
    with pytest.raises(InputMissing, match=r"Did you mean m3 \(Quiet, shop\)"):
        write_card(settings, row, "Quiet_shop")
    assert not settings.exports.exists()


@pytest.mark.parametrize("bad", ["../m1", "m1/..", "", "m1\n", "a b", "x" * 65, ".", "m1\x00", "商"])
def test_ids_never_become_other_paths(bad: str, settings: Settings, row: Published) -> None:
    with pytest.raises(UsageError, match="no merchant id"):
        write_card(settings, row, bad)
    assert not settings.exports.exists()
    assert checked_id("-A_z9") == "-A_z9"


@pytest.mark.parametrize(
    ("view", "sql", "told"),
    [
        (
            "score_drivers",
            "select * replace (contribution + 0.2 as contribution) from",
            "activity score|scale score",
        ),
        (
            "ledger_balances",
            "select * replace (balance + 1 as balance) from",
            "Pending points of merchant m1",
        ),
        ("ledger_lots", "select * replace (amount + 1 as amount) from", "hold 208 points, their parts 205"),
    ],
)
def test_what_does_not_add_up_is_not_published(
    view: str, sql: str, told: str, settings: Settings, row: Published
) -> None:
    with connect(settings.lake, row) as con:
        con.execute(f"create temp table changed as {sql} {view}")
        con.execute(f"create or replace view {view} as from changed")
        with pytest.raises(IntegrityBroken, match=told):
            read_card(con, "m1")


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_colours_meet_contrast_aa(card: Path) -> None:
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", card.read_text()))
    for name in ("ink", "soft", "accent", "good", "watch", "bad", "sim"):
        for ground in ("#ffffff", colours["wash"], colours["sim-wash"]):
            light, dark = sorted((_luminance(ground), _luminance(colours[name])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)
