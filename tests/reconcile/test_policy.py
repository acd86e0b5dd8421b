"""The reconciliation policy: dated, and every mistake named at once."""

from datetime import date
from pathlib import Path

import pytest

from ccare.errors import UsageError
from ccare.reconcile.policy import load_reconcile, payments_ever_from
from ccare.runtime.settings import default_conf

SOUND = """
[[version]]
id = "a"
from = 2026-01-01
channels = ["alipay"]
counted = ["amount_fen", "fee_fen"]
allowed_fen = 100
allowed_share_bp = 5
days_back = 0
[[version]]
id = "b"
from = 2026-02-01
channels = ["wechat"]
counted = ["amount_fen"]
allowed_fen = 0
allowed_share_bp = 0
days_back = 31
"""


def test_the_version_of_the_day(tmp_path: Path) -> None:
    (tmp_path / "reconcile.toml").write_text(SOUND)
    assert load_reconcile(tmp_path, date(2026, 1, 31)).allowed_fen == 100
    assert load_reconcile(tmp_path, date(2026, 2, 1)).channels == ("wechat",)
    with pytest.raises(UsageError, match="the first starts on 2026-01-01"):
        load_reconcile(tmp_path, date(2025, 12, 31))


def test_a_folder_without_one_has_the_products_own(tmp_path: Path) -> None:
    assert load_reconcile(tmp_path, date(2026, 1, 1)) == load_reconcile(default_conf(), date(2026, 1, 1))


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    wrong = SOUND.replace('["alipay"]', '["paypal"]').replace("= 100", "= -1").replace("= 5", "= true")
    wrong = wrong.replace('id = "b"', 'id = "a"').replace("2026-02-01", "2026-01-01") + "limit = 3\n"
    (tmp_path / "reconcile.toml").write_text(wrong)
    with pytest.raises(UsageError) as refused:
        load_reconcile(tmp_path, date(2026, 1, 1))
    for mistake in ("['paypal']", "allowed_fen is -1", "allowed_share_bp is True", "unknown key limit", "used twice",
                    "does not start after"):  # fmt: skip
        assert mistake in refused.value.message, mistake
    for text in ("", "version = 3", "[[version]]\nfrom = 'soon'"):
        (tmp_path / "reconcile.toml").write_text(text)
        with pytest.raises(UsageError):
            load_reconcile(tmp_path, date(2026, 1, 1))


def test_payments_are_made_of_bills_only_where_the_policy_says_so(tmp_path: Path) -> None:
    assert load_reconcile(default_conf(), date(2026, 1, 1)).payments_from == ()
    path = tmp_path / "reconcile.toml"
    path.write_text(SOUND.replace('id = "a"', 'id = "a"\npayments_from = ["wechat"]'))
    assert load_reconcile(tmp_path, date(2026, 1, 1)).payments_from == ("wechat",)
    assert load_reconcile(tmp_path, date(2026, 2, 1)).payments_from == ()
    assert payments_ever_from(tmp_path, date(2026, 2, 1)), "trades that came from bills stay theirs"
    assert not payments_ever_from(tmp_path, date(2025, 12, 31))
    path.write_text(SOUND.replace('id = "a"', 'id = "a"\npayments_from = ["alipay"]'))
    with pytest.raises(UsageError, match=r"payments_from is \['alipay'\], not a list out of wechat"):
        load_reconcile(tmp_path, date(2026, 1, 1))
