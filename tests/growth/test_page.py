"""The page of the catalogue is what the declarations say."""

from pathlib import Path

from ccare.growth.page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "catalogue.md"


def test_the_page_is_written_from_the_declarations() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"python -m ccare.growth.page > {PAGE.name}"
