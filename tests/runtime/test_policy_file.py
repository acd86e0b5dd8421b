"""Policy files: read from the folder that is set, else the product's own, and refused by name."""

from datetime import date
from pathlib import Path

import pytest

from ccare.errors import InputMissing, UsageError
from ccare.events.slots import load_slots
from ccare.runtime.policy_file import policy_path, read_policy
from ccare.runtime.settings import default_conf


def test_the_products_own_stands_in(tmp_path: Path) -> None:
    assert policy_path(tmp_path, "slots.toml") == default_conf() / "slots.toml"
    own = tmp_path / "slots.toml"
    own.write_text("a = 1\n")
    assert read_policy(policy_path(tmp_path, "slots.toml"), "slot map") == {"a": 1}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"The slot map .*gone\.toml cannot be read"):
        read_policy(tmp_path / "gone.toml", "slot map")
    (tmp_path / "slots.toml").write_text("[[version\n")
    with pytest.raises(UsageError, match=r"slots.toml is not TOML"):
        load_slots(tmp_path, date(2026, 1, 1))
    (tmp_path / "slots.toml").write_bytes(b"a = '\xff'\n")
    with pytest.raises(UsageError, match=r"slots.toml is not TOML"):
        load_slots(tmp_path, date(2026, 1, 1))
