"""ccare sql and ccare desk as a person types them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import UsageError
from ccare.runtime.settings import Settings


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """A command's standard output; its typed error is raised."""
    for name in ("lake", "landing", "exports", "currency"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("CCARE_BUSINESS_TIMEZONE", settings.timezone)
    monkeypatch.setenv("CCARE_CONF", str(settings.conf))

    def told(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    return told


def test_an_answer_as_table_csv_json_or_picture(run, tmp_path: Path) -> None:
    words = ("sql", "l_ness", "--param", "merchant_id=m1")
    assert run(*words).splitlines()[1].split("\t")[:2] == ["1", "11"]
    assert run(*words, "--csv").splitlines()[:2] == ["active_days,users,share,at_least", "1,11,0.9167,1.0"]
    assert json.loads(run(*words, "--json"))[0]["users"] == 11
    drawn = Path(json.loads(run(*words, "--plot", "--json"))["plot"])
    assert drawn.name == "l_ness.svg" and drawn.read_text(encoding="utf-8").startswith("<svg")
    query = tmp_path / "mine.sql"
    query.write_text("select as_of_date, count(*) as merchants from score_merchants group by 1 order by 1")
    assert Path(run("sql", "-f", str(query), "--plot").strip()).name == "query.svg"
    with pytest.raises(UsageError, match="exclude each other"):
        run(*words, "--json", "--csv")


def test_the_desk_and_a_port_that_is_taken(run, settings: Settings) -> None:
    import socket

    assert json.loads(run("desk", "--json")) == {"desk": str(settings.exports / "desk.html")}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot be served on"):
            run("desk", "--serve", "--port", str(taken.getsockname()[1]))
