"""Withheld hours: one draw, whoever asks, and the terms that a grant was made under."""

from datetime import UTC, date, datetime, timedelta

import pytest
from books_lake import write_lake

from ccare.commands.printing import latest
from ccare.errors import InputMissing
from ccare.events.slots import load_slots
from ccare.ledger.arms import HOLDOUT, TREATED, arm
from ccare.ledger.redemption_terms import RedemptionTerms
from ccare.ledger.withheld import draw_of, draws, withheld_by
from ccare.runtime.grant_hours import HOUR_COLUMNS, Grant, against_the_draw, grant_hours, hours_of, lines
from ccare.runtime.settings import default_conf

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = (default_conf() / "slots.toml").read_text(encoding="utf-8")


def test_a_grant_keeps_the_draw_of_the_version_that_decided_it(tmp_path):
    later = (
        TEXT[TEXT.index("[[version]]") :].replace("2017-01-01", "2026-03-01").replace('"2017-01"', '"new"')
    )
    (tmp_path / "slots.toml").write_text(TEXT + later.replace('seed = "ccare"', 'seed = "other"'))
    slots = load_slots(tmp_path, date(2026, 3, 5))
    assert (slots.terms_of("2017-01").seed, slots.terms_of("new").seed) == ("ccare", "other")
    assert slots.terms_of("gone").seed == "other", "a version that the file no longer has draws as today's"
    days = (date(2016, 1, 1), date(2026, 2, 28), date(2026, 3, 1))
    assert [slots.terms_on(day).seed for day in days] == ["other", "ccare", "other"]
    assert draws(slots) == (("ccare", 1000), ("other", 1000))


@pytest.mark.spark
def test_rows_are_drawn_as_grants_are(books_spark):
    terms = [RedemptionTerms(), RedemptionTerms(seed="店", holdout_percent=37)]
    rows = [
        (merchant, slot, FIRST + timedelta(hours=n, minutes=n % 60))
        for n in range(150)
        for merchant, slot in (("m", "search_box"), ("店-1", "life_channel"))
    ]
    frame = books_spark.createDataFrame(
        [*rows, ("m", "search_box", None)], "merchant_id string, slot string, occurred_at timestamp"
    )
    drawn = frame.select(withheld_by([draw_of(t) for t in terms]).alias("w")).collect()
    told = [[arm(t, *row) == HOLDOUT for t in terms] for row in rows]
    assert [row["w"] for row in drawn] == [*told, [False, False]]
    assert 0 < sum(one for one, _ in told) < sum(other for _, other in told) < len(told)


def test_hours_of_a_grant_are_those_of_its_business_days():
    grant = Grant("g", "m", "search_box", date(2026, 3, 2), date(2026, 3, 3), RedemptionTerms())
    hours = list(hours_of(grant, "Asia/Shanghai"))
    assert len(hours) == 48 and hours[0]["hour_start"] == "2026-03-01T16:00:00Z"
    assert hours[-1]["hour_start"] == "2026-03-03T15:00:00Z"
    assert {(h["seed"], h["holdout_percent"]) for h in hours} == {("ccare", 10)}
    for h in hours:
        at = datetime.fromisoformat(h["hour_start"])
        assert h["arm"] == arm(grant.terms, "m", "search_box", at) and h["arm"] in (TREATED, HOLDOUT)


def test_hours_of_the_grants_that_are_open(tmp_path):
    settings = write_lake(tmp_path, closed=6)
    row = latest(settings)
    hours = grant_hours(settings, row, None, None)
    assert {h["grant_id"] for h in hours} == {"r3"}, "the others were refused or are resolved"
    assert len(hours) == 48 and tuple(hours[0]) == HOUR_COLUMNS
    assert {(h["told"], h["impressions"]) for h in hours} == {(None, 0)}
    assert grant_hours(settings, row, "r3", row.business_date + timedelta(days=1)) == hours[:24]
    withheld = sum(h["arm"] == HOLDOUT for h in hours)
    assert lines(hours) == [f"48 hours of 1 open grant(s), {withheld} of them withheld."]
    with pytest.raises(InputMissing, match="no open grant r2"):
        grant_hours(settings, row, "r2", None)


def test_what_was_told_against_the_draw_is_warned_of_with_counts():
    grant = Grant("g", "m", "search_box", date(2026, 3, 9), date(2026, 3, 9), RedemptionTerms())
    hours = [h | {"told": None, "impressions": 0} for h in hours_of(grant, "UTC")]
    hours[10] |= {"told": TREATED, "impressions": 400}
    hours[11] |= {"told": TREATED, "impressions": 300}
    hours[12] |= {"told": HOLDOUT, "impressions": 200}
    hours[16] |= {"told": "both", "impressions": 70}
    assert [h["hour_start"][11:13] for h in against_the_draw(hours)] == ["10", "12", "16"]
    said = lines(hours)[1]
    assert "3 hour(s) were told against the draw; 2 of them should have been withheld" in said
    assert "470 impressions are not charged" in said
