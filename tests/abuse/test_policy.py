"""conf/abuse.toml: the product's own is sound, and a wrong one is refused with every mistake at once."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ccare.abuse.policy import load_abuse, parse_abuse
from ccare.abuse.rules import FAMILIES
from ccare.errors import UsageError
from ccare.runtime.settings import default_conf

APPEAL = {"en": "Write to us.", "zh": "请联系我们。"}


def rule(**changes: Any) -> dict[str, Any]:
    told = {
        "name": "few",
        "kind": "effective_payers",
        "family": "payer_mix",
        "test": "at_most",
        "threshold": 4,
    }
    return {**told, "window_days": 28, "least": 30, "text_en": "few", "text_zh": "少", **changes}


def version(name: str, start: date, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "from": start, "rules": list(rules)}


def test_the_products_own_uses_every_family_and_says_each_rule_in_both_languages() -> None:
    policy = load_abuse(default_conf())
    assert {each.rule.family for each in policy.rules} == set(FAMILIES)
    assert policy.appeal and policy.appeal.en and policy.appeal.zh
    assert [each.rule.effect for each in policy.rules if each.rule.name == "split_orders"] == ["flag"]
    # That rules of two families see each pattern is asked of the market: tests/abuse/test_market.py.
    assert len({each.rule.kind for each in policy.rules}) == 8


def test_a_conf_folder_without_one_has_the_products_own(tmp_path: Path) -> None:
    assert load_abuse(tmp_path) == load_abuse(default_conf())


def test_each_date_is_judged_by_the_version_of_its_own_day() -> None:
    first, second = date(2026, 1, 1), date(2026, 3, 1)
    policy, mistakes = parse_abuse(
        {"appeal": APPEAL, "version": [version("a", first, rule()), version("b", second, rule(threshold=9))]}
    )
    assert mistakes == []
    assert [(r.policy_version, r.first, r.last) for r in policy.rules] == [
        ("a", first, date(2026, 2, 28)),
        ("b", second, None),
    ]
    assert [r.policy_version for r in policy.judging(date(2026, 2, 27), date(2026, 2, 28))] == ["a"]
    assert [r.policy_version for r in policy.judging(date(2026, 2, 28), second)] == ["a", "b"]
    assert policy.judging(date(2025, 12, 1), date(2025, 12, 31)) == ()
    assert policy.told("few", "b") == policy.rules[1].rule and policy.told("few", "c") is None


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    content = {
        "appeal": {"en": "Write."},
        "surprise": 1,
        "version": [
            version(
                "a",
                date(2026, 3, 1),
                rule(threshold="many"),
                rule(name="Few"),
                rule(name="x", famliy="timing"),
            ),
            version("a", date(2026, 3, 1), rule(kind="guess"), rule(least=0), rule(window_days=64)),
        ],
    }
    _, mistakes = parse_abuse(content)
    told = "\n".join(mistakes)
    for part in (
        "appeal zh: field required",
        "surprise",
        "version a rule few threshold",
        "version a rule Few name",
        "famliy",
        "guess",
        "least",
        "window_days",
        "version id a is used twice",
        "does not start after",
    ):
        assert part in told, (part, told)
    path = tmp_path / "abuse.toml"
    path.write_text('version = []\n[appeal]\nen = "e"\nzh = "z"\n')
    with pytest.raises(UsageError, match="is refused") as refused:
        load_abuse(tmp_path)
    assert refused.value.exit_code == 2
    path.write_text("rules = [")
    with pytest.raises(UsageError, match="is not TOML"):
        load_abuse(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"kind": "one_visit", "family": "after_behaviour", "after_days": 28},
            "leaves nothing of its 28 days",
        ),
        (
            {"kind": "shared_terminals", "family": "identity", "test": "at_least", "threshold": 2},
            "never reached",
        ),
        ({"name": "twice"}, "stands twice"),
    ],
)
def test_numbers_that_can_never_speak_are_refused(changes: dict[str, Any], told: str) -> None:
    rules = [rule(**changes), rule(**changes)] if changes.get("name") else [rule(**changes)]
    _, mistakes = parse_abuse({"appeal": APPEAL, "version": [version("a", date(2026, 1, 1), *rules)]})
    assert any(told in mistake for mistake in mistakes), mistakes


def test_the_file_itself_is_what_was_parsed() -> None:
    content = tomllib.loads((default_conf() / "abuse.toml").read_text(encoding="utf-8"))
    policy, mistakes = parse_abuse(content)
    assert mistakes == [] and len(policy.rules) == len(content["version"][0]["rules"])
