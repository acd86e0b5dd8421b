"""conf/slots.toml: dated versions, each with its own prices, refused with every mistake named at once."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from ccare.errors import UsageError
from ccare.events.slots import load_slots
from ccare.ledger import redemptions
from ccare.runtime.settings import default_conf

TEXT = (default_conf() / "slots.toml").read_text(encoding="utf-8")
DAY = date(2026, 3, 1)


def conf(folder: Path, text: str) -> Path:
    (folder / "slots.toml").write_text(text, encoding="utf-8")
    return folder


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_slots(conf(folder, text), DAY)
    assert caught.value.exit_code == 2
    return str(caught.value)


def another(version: str, first: date) -> str:
    """A second version of the file's own."""
    text = TEXT[TEXT.index("[[version]]") :]
    return text.replace('"2017-01"', f'"{version}"').replace("from = 2017-01-01", f"from = {first}")


def test_each_version_has_its_prices_from_its_day_on(tmp_path: Path) -> None:
    prices = "[version.points.prices]\nsearch_box = 400\nlife_channel = 0"
    dear = another("2026-03", DAY).replace("default_price = 100", "default_price = 150")
    dear = dear.replace("point_cost_fen = 1", prices)
    folder = conf(tmp_path, f"{TEXT}\n{dear}")
    before, after = load_slots(folder, DAY - timedelta(days=1)), load_slots(folder, DAY)
    slots = ("search_box", "app_centre", "life_channel", "private")
    assert (before.version, [before.price(slot) for slot in slots]) == ("2017-01", [100, 100, 100, None])
    assert (after.version, [after.price(slot) for slot in slots]) == ("2026-03", [400, 150, None, None])
    asked = {"request_id": "r", "content_hash": "h", "merchant_id": "m", "slot": "search_box", "points": 100}
    asked |= {"service_provider_id": None, "requested_at": None}
    pool = {"pool": "traffic", "programme": "fanxing", "held": 10**6}
    rows = [
        redemptions.decide([asked], {}, {"merchant:m": 100}, version, pool, DAY)[0]
        for version in (before, after)
    ]
    assert [(row["price"], row["impressions"], row["slots_version"]) for row in rows] == [
        (100, 1_000, "2017-01"),
        (400, 250, "2026-03"),
    ]


def test_every_mistake_of_every_version_is_in_one_sentence(tmp_path: Path) -> None:
    wrong = TEXT.replace('search_box = ["1005"]', 'search_box = ["1005", "1000"]')
    wrong = wrong.replace("default_price = 100", "default_price = -1").replace(
        "capacity = 1_000_000", "capacitee = 5"
    )
    other = another("2026-01", date(2026, 1, 1)).replace('"membership_channel"]', '"membership_chanel"]', 1)
    other = other.replace("point_cost_fen = 1", "[version.points.prices]\nsearch_bx = 5\nprivate = 5")
    bare = "[[version]]\nfrom = 2026-01-01\n[version.positions]\n"
    said = refusal(tmp_path, f"{wrong}\n{other}\n{bare}")
    for part in (
        *("2017-01: points: default_price: input should be greater", "2017-01: redemption: capacitee: extra"),
        "2026-01: public: membership_chanel is no known slot",
        "2026-01: points: prices: search_bx is no public slot",
        "2026-01: points: prices: private is no public slot",
        *(
            "version 3: version: field required",
            "version 3: public: field required",
            "version 3: scenes: field",
        ),
        "two versions have from 2026-01-01",
    ):
        assert part in said, (part, said)


@pytest.mark.parametrize("name", ["version", "from", "public"])
def test_a_version_without_what_it_needs_is_no_key_error(tmp_path: Path, name: str) -> None:
    lines = [line for line in TEXT.splitlines() if not line.startswith(f"{name} =")]
    assert f": {name}: field required" in refusal(tmp_path, "\n".join(lines))


@pytest.mark.parametrize("name", ["scenes", "positions"])
def test_a_version_without_a_table_is_no_key_error(tmp_path: Path, name: str) -> None:
    assert f"{name}: field required" in refusal(
        tmp_path, TEXT.replace(f"[version.{name}]", "[version.other]")
    )


def test_a_code_of_two_slots_is_named_beside_nothing_else(tmp_path: Path) -> None:
    said = refusal(tmp_path, TEXT.replace('search_box = ["1005"]', 'search_box = ["1005", "1000"]'))
    assert "slots.toml: 2017-01: 1000 stands under two slots." in said


@pytest.mark.parametrize("text", ["", "version = 3\n", "[version]\na = 1\n"])
def test_a_file_without_versions_is_refused(tmp_path: Path, text: str) -> None:
    assert "it has no [[version]]" in refusal(tmp_path, text)


def test_a_day_before_the_first_version_has_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no version is in force on 2016-12-31"):
        load_slots(tmp_path, date(2016, 12, 31))
