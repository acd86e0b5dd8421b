"""The page of merchants' files is what the declarations say."""

from pathlib import Path

from ccare.exports.page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "exports.md"


def test_the_page_is_written_from_the_declarations() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"python -m ccare.exports.page > {PAGE.name}"
