"""A policy that changes closed days is refused, unless its programme says that it is meant."""

from datetime import date, timedelta

import pytest

from ccare.errors import UsageError
from ccare.ledger.policy import load_ledger
from ccare.ledger.versions import keep, require_forward
from ccare.runtime.settings import default_conf

LAST = date(2026, 3, 9)
PACKAGED = (default_conf() / "programmes.toml").read_text(encoding="utf-8")
LUOMA = 'name = "luoma"\ntitle = "罗码计划"\nfrom = 2015-01-01\n'


def policies(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "programmes.toml").write_text(text, encoding="utf-8")
    return load_ledger(folder)


@pytest.fixture
def before(tmp_path):
    """The policy that closed the last day, as the lake keeps it."""
    kept = policies(tmp_path / "before", PACKAGED)
    (tmp_path / "lake").mkdir()
    keep(tmp_path / "lake", kept)
    return kept


def refused(tmp_path, before, text):
    after = policies(tmp_path / "after", text)
    assert after.version != before.version
    with pytest.raises(UsageError) as caught:
        require_forward(tmp_path / "lake", after, before.version, LAST)
    assert caught.value.exit_code == 2
    return str(caught.value)


def passed(tmp_path, before, text):
    after = policies(tmp_path / "after", text)
    assert after.version != before.version
    require_forward(tmp_path / "lake", after, before.version, LAST)


def test_what_closed_days_are_rated_by_cannot_change_in_silence(tmp_path, before):
    text = PACKAGED.replace("most_per_terminal = 200", "most_per_terminal = 100")
    text = text.replace("late_window_days = 30", "late_window_days = 31")
    text = text.replace("expiry_days = 14", "expiry_days = 15")
    said = refused(tmp_path, before, text)
    for part in (
        "programme luoma",
        "programme fuyou",
        "late_window_days was 30 and is 31",
        "retroactive = true",
    ):
        assert part in said
    assert "fanxing" not in said and "wufu" not in said


def test_an_earlier_end_of_a_version_is_a_change_too(tmp_path, before):
    assert "luoma" in refused(tmp_path, before, PACKAGED.replace(LUOMA, LUOMA + "to = 2026-03-08\n"))


def test_a_new_version_from_the_next_day_on_is_none(tmp_path, before):
    parts = PACKAGED.split("[[programmes]]\n")
    (old,) = (part for part in parts if part.startswith('name = "luoma"'))
    ended = old.replace("from = 2015-01-01\n", f"from = 2015-01-01\nto = {LAST}\n")
    new = old.replace("from = 2015-01-01", f"from = {LAST + timedelta(days=1)}").replace(
        "points = 5", "points = 9"
    )
    passed(tmp_path, before, PACKAGED.replace(old, f"{ended}\n[[programmes]]\n{new}"))


def test_texts_titles_and_later_programmes_are_free(tmp_path, before):
    text = PACKAGED.replace('title = "扶优计划"', 'title = "扶优"').replace(
        "net of the trades paid", "trades paid"
    )
    passed(tmp_path, before, text)


def test_a_change_that_says_it_is_meant_passes(tmp_path, before):
    text = PACKAGED.replace(LUOMA, LUOMA + "retroactive = true\n")
    passed(tmp_path, before, text.replace("most_per_terminal = 200", "most_per_terminal = 100"))


def test_an_unknown_policy_and_the_same_one_pass(tmp_path, before):
    require_forward(tmp_path / "lake", before, before.version, LAST)
    require_forward(tmp_path / "lake", before, "never-kept", LAST)


def test_what_one_person_may_adjust_changes_for_days_to_come_only(tmp_path, before):
    told = "go_live = 2015-01-01"
    day, later = LAST, LAST + timedelta(days=1)
    at_once = PACKAGED.replace(told, f"adjust_alone = [{{ from = {day}, up_to = 100 }}]\n{told}", 1)
    assert "adjust_alone" in refused(tmp_path, before, at_once)
    passed(tmp_path, before, at_once.replace(str(day), str(later), 1))


POOL = 'name = "luoma"\nprogramme = "luoma"\nasset = "POINT"\n'


def test_a_pool_may_close_from_the_next_day_on_and_not_before(tmp_path, before):
    assert "pool luoma" in refused(tmp_path, before, PACKAGED.replace(POOL, POOL + "to = 2026-03-08\n"))
    passed(tmp_path, before, PACKAGED.replace(POOL, POOL + f"to = {LAST}\n"))


def test_a_pool_that_is_closed_stays_closed(tmp_path):
    closed = policies(tmp_path / "before", PACKAGED.replace(POOL, POOL + "to = 2026-03-08\n"))
    (tmp_path / "lake").mkdir()
    keep(tmp_path / "lake", closed)
    assert "pool luoma" in refused(tmp_path, closed, PACKAGED)
