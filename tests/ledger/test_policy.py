"""The ledger's policy files: dated, complete, and refused with every mistake named."""

from datetime import date
from pathlib import Path

import pytest

from ccare.demo_policy import write_real_only
from ccare.errors import UsageError
from ccare.ledger.policy import load_ledger
from ccare.ledger.reasons import REFUSALS
from ccare.runtime.settings import default_conf
from ccare.tables.ledger import NOT_GRANTED

CONF = default_conf()
PARTED = "\n[[programmes]]\n"
PACKAGED = (CONF / "programmes.toml").read_text(encoding="utf-8")
GOOD = PACKAGED[: PACKAGED.index('[[programmes]]\nname = "luoma"')]
"""The packaged policy as far as its first programme."""


def conf_with(folder: Path, programmes: str = GOOD, funding: str | None = None) -> Path:
    (folder / "programmes.toml").write_text(programmes, encoding="utf-8")
    if funding is not None:
        (folder / "funding.toml").write_text(funding, encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_ledger(folder)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_default_terms_are_those_of_the_rules():
    policy = load_ledger(CONF).for_day(date(2026, 1, 1))
    programmes = {p.name: p for p in policy.programmes}
    fanxing = programmes["fanxing"]
    assert (fanxing.maturity_days, fanxing.expiry_days, fanxing.multiplier) == (15, 180, "score")
    assert fanxing.needs_mini_program and fanxing.on_fall == "within_balance"
    assert policy.late_window_days == 30
    assert [(rule.name, rule.points, rule.per) for rule in fanxing.rules] == [
        *(("trade_net", 1, 1_000), ("first_follow", 2, 1), ("first_member", 5, 1)),
        *(("private_day", 1, 1), ("returning_payer", 3, 1)),
    ]
    assert fanxing.rules[4].counted_by == {"within_days": 90, "once_in_days": 28}
    luoma, fuyou = programmes["luoma"], programmes["fuyou"]
    assert set(luoma.industries) == {"catering", "retail", "fast_moving_goods"} and luoma.own_brand
    assert luoma.rules[0].counted_by == {"within_days": 7, "most_per_terminal": 200}
    assert (fuyou.asset, fuyou.slot, fuyou.expiry_days, fuyou.multiplier) == (
        *("IMPRESSION", "recommendation_card", 14, "none"),
    )
    assert fuyou.rules[0].points == 10_000 and fuyou.rules[0].falls_on(date(2026, 3, 1))
    later = load_ledger(CONF).for_day(date(2026, 2, 1)).programmes
    (wufu,) = (p for p in later if p.name == "wufu")
    assert (wufu.most_merchants, wufu.most_industries, wufu.pool) == (1_000, 17, "wufu")


def test_demo_policy_says_what_it_shortens_and_what_is_simulated():
    policy = load_ledger(CONF / "demo").for_day(date(2017, 12, 24))
    programme = next(p for p in policy.programmes if p.name == "fanxing")
    assert policy.go_live == date(2017, 12, 24)
    assert (programme.maturity_days, programme.expiry_days) == (3, 3)
    assert programme.needs_mini_program and not programme.eligibility_waived
    said = " ".join(note.en for note in policy.notes).lower()
    assert "3 days" in said and "mini-programs are simulated" in said and "waives" not in said
    assert all("演示" in note.zh for note in policy.notes)


def test_the_real_only_demo_waives_the_mini_program_and_is_the_same_otherwise(tmp_path):
    conf = tmp_path / "conf"
    for _ in range(2):
        write_real_only(CONF / "demo", conf)
    assert sorted(p.name for p in conf.iterdir()) == sorted(p.name for p in (CONF / "demo").iterdir())
    full, real = (load_ledger(c).programmes_file.model_dump() for c in (CONF / "demo", conf))
    (waived,) = (p for p in real["programmes"] if p["name"] == "fanxing")
    assert waived["eligibility_waived"] and "waives" in waived["note"]["en"]
    for fanxing in (p for told in (full, real) for p in told["programmes"] if p["name"] == "fanxing"):
        del fanxing["eligibility_waived"], fanxing["note"]
    assert real == full
    for name in ("funding.toml", "scoring.toml"):
        assert (conf / name).read_bytes() == (CONF / "demo" / name).read_bytes()


def test_a_missing_file_comes_from_the_product(tmp_path):
    folder = conf_with(tmp_path, GOOD.replace("maturity_days = 15", "maturity_days = 7"))
    policies = load_ledger(folder)
    assert policies.for_day(date(2026, 1, 1)).programmes[0].maturity_days == 7
    assert policies.funding_file == load_ledger(CONF).funding_file


def test_fundings_and_versions_count_from_their_date(tmp_path):
    later = GOOD.replace("from = 2015-01-01", "from = 2026-03-01")
    funding = '[[fundings]]\npool = "fanxing"\namount = 5\ndate = 2026-03-02\napproval = "A-1"\n'
    policies = load_ledger(conf_with(tmp_path, later, funding))
    assert policies.for_day(date(2026, 2, 28)).programmes == ()
    assert policies.for_day(date(2026, 3, 1)).fundings == ()
    assert [f.business_key for f in policies.for_day(date(2026, 3, 2)).fundings] == ["funding|fanxing|A-1"]


def test_version_follows_the_programmes_not_the_fundings(tmp_path):
    first = load_ledger(conf_with(tmp_path)).version
    funding = '[[fundings]]\npool = "fanxing"\namount = 5\ndate = 2026-03-02\napproval = "A-1"\n'
    assert load_ledger(conf_with(tmp_path, GOOD, funding)).version == first
    assert load_ledger(conf_with(tmp_path, GOOD.replace("points = 1", "points = 2"))).version != first


def test_every_mistake_is_named_at_once(tmp_path):
    wrong = GOOD.replace("late_window_days = 30", "late_window_days = -1\nlate_windw = 3")
    wrong = wrong.replace('name = "trade_net"', 'name = "trade_nett"')
    funding = '[[fundings]]\npool = "fanxing"\namount = -5\ndate = 2026-03-02\napproval = "A 1"\n'
    said = refusal(conf_with(tmp_path, wrong, funding))
    for part in ("5 mistake(s)", "late_window_days", "late_windw", "trade_net", "amount", "approval"):
        assert part in said


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("from = 2015-01-01", "from = 2015-01-01\nto = 2014-01-01"), "before it starts"),
        (('pool = "fanxing"', 'pool = "other"'), "pool other is not declared"),
        (('programme = "fanxing"', 'programme = "luoma"'), "grants POINT to luoma"),
        (('eligibility = "mini_program"', 'eligibility = "mini_program"\neligibility_waived = true'), "note"),
        (('on_fall = "within_balance"', 'on_fall = "debts"'), "on_fall"),
        (("go_live = 2015-01-01", 'go_live = "2015-01-01"'), "go_live"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(tmp_path, change, named):
    assert named in refusal(conf_with(tmp_path, GOOD.replace(*change)))


def test_overlapping_versions_are_refused(tmp_path):
    head, programme = GOOD.split(PARTED)
    again = programme.replace("from = 2015-01-01", "from = 2026-01-01")
    said = refusal(conf_with(tmp_path, PARTED.join((head, programme, again))))
    assert "from 2015-01-01 and from 2026-01-01 overlap" in said
    closed = programme.replace("from = 2015-01-01", "from = 2015-01-01\nto = 2025-12-31")
    load_ledger(conf_with(tmp_path, PARTED.join((head, closed, again))))


def test_a_wrong_field_hides_nothing_of_the_others(tmp_path):
    """A misspelt field here, an overlap, an undeclared pool, a missing slot and a spent approval there."""
    parts = PACKAGED.split(PARTED)
    (fanxing,) = (part for part in parts if part.startswith('name = "fanxing"'))
    (luoma,) = (part for part in parts if part.startswith('name = "luoma"'))
    later = fanxing.replace("from = 2015-01-01", "from = 2026-01-01").replace("maturity_days", "maturty_days")
    wrong = PACKAGED.replace(luoma, luoma.replace('pool = "luoma"', 'pool = "loma"'))
    wrong = wrong.replace('slot = "recommendation_card"\neligibility', "eligibility")
    wrong = wrong.replace('name = "wufu"\nprogramme = "wufu"', 'name = "wufu"\nprogrammes = "wufu"')
    one = '[[fundings]]\npool = "fanxing"\namount = 5\ndate = 2026-03-02\napproval = "A-1"\n'
    bad = one.replace("amount = 5", "amount = 0").replace("A-1", "B-1")
    said = refusal(conf_with(tmp_path, PARTED.join((wrong, later)), one + one + bad))
    for part in (
        *("maturty_days: extra inputs", "versions of fanxing from 2015-01-01 and from 2026-01-01 overlap"),
        *("pool loma is not declared", "fuyou from 2015-01-01: grants impressions, so a slot has to say"),
        *("programmes: extra inputs", "approval A-1 is used twice", "fundings.2.amount"),
    ):
        assert part in said, part
    assert "pool wufu is not declared" not in said, "its own mistake is named"


def test_an_approval_is_used_once_and_for_a_known_pool(tmp_path):
    one = '[[fundings]]\npool = "fanxing"\namount = 5\ndate = 2026-03-02\napproval = "A-1"\n'
    said = refusal(conf_with(tmp_path, GOOD, one + one + one.replace("fanxing", "none").replace("A-1", "B")))
    assert "approval A-1 is used twice" in said and "B funds none" in said


def test_broken_toml_is_one_sentence(tmp_path):
    assert "programmes.toml is not TOML" in refusal(conf_with(tmp_path, "version = "))


def test_reasons_are_those_of_the_table_and_said_in_both_languages():
    assert tuple(REFUSALS) == NOT_GRANTED
    assert all(words["zh"] and words["en"] for words in REFUSALS.values())


def test_a_programme_may_say_a_reason_its_own_way(tmp_path):
    told = 'eligibility = "everyone"\ntexts = { cut_by_pool = { zh = "没了", en = "all gone" } }\n'
    policies = load_ledger(conf_with(tmp_path, PACKAGED.replace('eligibility = "everyone"\n', told)))
    fuyou = next(p for p in policies.programmes_file.programmes if p.name == "fuyou")
    assert fuyou.text("cut_by_pool").en == "all gone"
    assert fuyou.text("day_cap").zh == REFUSALS["day_cap"]["zh"]


def test_mistakes_of_programmes_are_named_together(tmp_path):
    wrong = PACKAGED.replace('slot = "recommendation_card"\n', "").replace(
        'eligibility = "trade"\n', 'eligibility = "everyone"\n'
    )
    wrong = wrong.replace('eligibility = "enrolled"\n', 'eligibility = "trade"\n')
    wrong = wrong.replace('name = "first_member"\nkind', 'name = "first_follow"\nkind')
    wrong = wrong.replace("to = 2026-02-16", "to = 2026-01-02")
    said = refusal(conf_with(tmp_path, wrong))
    for part in (
        *("a slot has to say", "belong to eligibility trade", "needs industries or own_brand"),
        *("belong to eligibility enrolled", "a rule stands twice", "before it starts"),
    ):
        assert part in said, part


def test_rules_with_the_same_parameters_share_a_measure():
    rules = {rule.name: rule for rule in load_ledger(CONF).for_day(date(2026, 1, 1)).rules}
    assert rules["first_follow"].measure == "relation_kept(days=7, relation=follow)"
    assert rules["trade_net"].measure == "trade_net"
    doubled = rules["trade_net"].model_copy(update={"per_fen": 500, "name": "other", "points": 2})
    assert doubled.measure == rules["trade_net"].measure


CLOSING = 'name = "fanxing"\nprogramme = "fanxing"\nasset = "POINT"\n'


def test_a_pool_ends_on_its_last_day_and_no_funding_comes_after_it(tmp_path):
    ended = GOOD.replace(CLOSING, CLOSING + "to = 2026-03-09\n")
    funding = '[[fundings]]\npool = "fanxing"\namount = 5\ndate = 2026-03-{}\napproval = "A"\n'
    pool = (
        load_ledger(conf_with(tmp_path, ended, funding.format("09")))
        .for_day(date(2026, 3, 10))
        .pool("fanxing")
    )
    assert pool.grants_on(date(2026, 3, 9)) and not pool.grants_on(date(2026, 3, 10))
    said = refusal(conf_with(tmp_path, ended, funding.format("10")))
    assert "A funds fanxing on 2026-03-10, after its last day, 2026-03-09" in said
    assert "pools.0.to: input should be a valid date" in refusal(
        conf_with(tmp_path, GOOD.replace(CLOSING, CLOSING + 'to = "soon"\n'))
    )


def test_a_policy_that_closes_no_pool_is_the_version_that_it_was_before_pools_closed(tmp_path):
    told = load_ledger(conf_with(tmp_path)).programmes_file.model_dump_json()
    assert '"to_day":null' in told and told.count('"to_day"') == told.count('"eligibility_waived"')
