"""The Delta jars: trusted by stamp, hashed when the stamp differs, refused when the bytes differ."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from ccare.errors import CcareError, InputMissing
from ccare.setup import jars
from ccare.setup.cache import written_aside
from ccare.setup.jars import delta_jars, fetch_delta_jars, jar_pins, jars_folder


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test with copies of the real jars."""
    real = delta_jars()
    monkeypatch.setenv("CCARE_CACHE", str(tmp_path))
    folder = jars_folder()
    folder.mkdir(parents=True)
    for jar in real:
        shutil.copyfile(jar, folder / jar.name)
    return folder


def test_the_pins_name_five_artifacts_of_one_version() -> None:
    pins = jar_pins()
    assert len(pins.sha256) == 5
    assert pins.root in pins.sha256
    assert all(len(digest) == 64 for digest in pins.sha256.values())


def test_the_real_jars_are_as_pinned(copied: Path) -> None:
    found = delta_jars()
    assert [jar.parent for jar in found] == [copied] * 5
    for jar, digest in zip(found, jar_pins().sha256.values(), strict=True):
        assert hashlib.sha256(jar.read_bytes()).hexdigest() == digest


def test_a_checked_jar_is_not_hashed_again(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delta_jars()
    hashed: list[Path] = []
    monkeypatch.setattr(jars, "sha256_of", lambda path: hashed.append(path) or "")
    delta_jars()
    assert hashed == []


@pytest.mark.parametrize("damage", [b"", b"PK not this jar"])
def test_other_bytes_are_refused(copied: Path, damage: bytes) -> None:
    victim = delta_jars()[1]
    victim.write_bytes(damage)
    with pytest.raises(InputMissing, match=r"delta-storage.* is pinned.* Run `make setup`"):
        delta_jars()


def test_the_same_size_with_other_bytes_is_refused(copied: Path) -> None:
    victim = delta_jars()[0]
    content = bytearray(victim.read_bytes())
    content[1000] ^= 1
    victim.write_bytes(content)
    with pytest.raises(InputMissing, match="is pinned"):
        delta_jars()


def test_a_missing_jar_is_named_with_the_command_that_mends_it(copied: Path) -> None:
    (copied / "delta-kernel-api-4.4.0.jar").unlink()
    with pytest.raises(
        InputMissing, match=r"delta-kernel-api-4\.4\.0\.jar is missing.* Run `make setup`"
    ) as refused:
        delta_jars()
    assert refused.value.exit_code == 20


def test_a_torn_stamp_costs_a_hash_and_no_more(copied: Path) -> None:
    delta_jars()
    (copied / ".checked.json").write_text('{"delta')
    assert len(delta_jars()) == 5


def test_a_touched_jar_is_hashed_and_trusted_again(copied: Path) -> None:
    first = delta_jars()[0]
    os.utime(first, (1, 1))
    assert delta_jars()[0] == first


def test_fetched_bytes_that_differ_from_the_pins_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCARE_CACHE", str(tmp_path / "cache"))
    served = tmp_path / "served.jar"
    served.write_bytes(b"not Delta")
    monkeypatch.setattr(jars, "resolve", lambda pins, scratch: dict.fromkeys(pins.sha256, served))
    with pytest.raises(CcareError, match="not the pinned"):
        fetch_delta_jars()
    assert not jars_folder().exists()


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("Host central.example not found. url=https://central.example/a.pom", "no network"),
        ("(SSLHandshakeException: PKIX path building failed)\nHost x not found. url=y", "SSL_CERT_FILE"),
        (
            "Host repos.spark-packages.org not found.\n[unresolved dependency: io.delta#x;1: not found]",
            "io.delta#x",
        ),
        ("", "no reason"),
    ],
)
def test_the_cause_of_a_failed_download_is_told(log: str, told: str) -> None:
    assert told in jars._cause(log)
    assert "://" not in jars._cause(log)


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_aside(target) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
