"""tests/conftest.py: with CCARE_NO_SKIPS=1 every skip is a failure, an expected failure is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SAMPLES = {
    "test_marks.py": """
import pytest
@pytest.mark.skip(reason="marked")
def test_marked(): pass
def test_inside(): pytest.skip("inside")
@pytest.fixture
def gone(): pytest.skip("fixture")
def test_fixture(gone): pass
@pytest.mark.xfail(reason="known")
def test_expected(): assert False
def test_good(): pass
""",
    "test_module.py": 'import pytest\npytest.skip("module", allow_module_level=True)\n',
}


@pytest.mark.parametrize(
    ("no_skips", "code", "counts"),
    [
        ("", 0, ("1 passed", "4 skipped", "1 xfailed")),
        ("1", 1, ("1 failed", "1 passed", "1 xfailed", "3 errors")),
    ],
)
def test_skips(tmp_path: Path, no_skips: str, code: int, counts: tuple[str, ...]) -> None:
    for name, text in SAMPLES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text("utf-8"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    if no_skips:
        command.append("--continue-on-collection-errors")
    environment = {**os.environ, "CCARE_NO_SKIPS": no_skips}
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    last = done.stdout.splitlines()[-1]
    assert done.returncode == code, done.stdout
    assert all(count in last for count in counts), last
