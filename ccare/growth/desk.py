"""The growth desk: one page that holds its figures and its charts, opened from disk or served on loopback."""

import json
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ccare.exports import pages
from ccare.exports.card import policy_notes
from ccare.exports.files import write_aside
from ccare.exports.words import LANGUAGES, Words, first_language
from ccare.growth.catalogue import open_snapshot
from ccare.growth.desk_data import DeskData, read_desk
from ccare.growth.desk_figures import FIGURES, Figure, specification
from ccare.growth.desk_values import page_words
from ccare.growth.desk_words import TEXT, filled
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.tables.streams import STREAMS

FILE_NAME = "desk.html"
LOOPBACK = "127.0.0.1"


def write_desk(settings: Settings, row: Published) -> Path:
    """Write ``<exports>/desk.html`` from one published run and return its path.

    The page asks nothing of any network: figures, charts and the library that draws them are inside, in English and
    Chinese. It shows Chinese first in a lake of CNY, else English.
    """
    import vl_convert

    with open_snapshot(settings, row) as con:
        data = read_desk(con)
    page = pages.render(
        "desk.html.j2",
        language=first_language(settings.currency),
        text=TEXT | _told(data.facts),
        facts=data.facts,
        industries=data.industries,
        providers=data.providers,
        figures=FIGURES,
        notes=policy_notes(settings, row),
        vega=Markup(vl_convert.javascript_bundle(None)),  # type: ignore[arg-type] # its stub forgets the default
        content=_json(_content(data)),
    )
    return write_aside(settings.exports / FILE_NAME, page.encode())


def serve(page: Path, port: int) -> ThreadingHTTPServer:
    """A server of this one page on loopback, bound and not yet running; ``port`` 0 takes a free one."""
    return ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, page))


def _told(facts: dict[str, Any]) -> dict[str, Words]:
    """Texts about the published run; none where nothing is published."""
    if not facts:
        return {}
    values = facts | {
        "published": facts["published_at"][:16].replace("T", " "),
        "day": facts["business_date"],
    }
    return {name: filled(TEXT[name], **values) for name in ("title", "as_of", "facts", "run")}


def _content(data: DeskData) -> dict[str, Any]:
    return {
        "facts": data.facts,
        "figures": [_figure(figure) for figure in FIGURES],
        "frames": data.frames,
        "words": page_words(data.frames),
        "daily": [stream.name for stream in STREAMS.values() if stream.required_daily],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    """What the page's script has to know of a figure; its title and note stand on the page."""
    return {
        "id": figure.id,
        "frame": figure.frame,
        "filtered": figure.filtered,
        "bands": figure.bands,
        "needs": figure.needs,
        "empty": figure.empty._asdict(),
        "specs": {language: specification(figure, language) for language in LANGUAGES},
    }


def _json(value: Any) -> Markup:
    """JSON that may stand in a script element: names are data, and may say </script>."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


class _Handler(BaseHTTPRequestHandler):
    """Gives the page for /, as it stands on disk; nothing else is there."""

    def __init__(self, page: Path, *args: Any) -> None:
        self.page = page
        super().__init__(*args)

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in (LOOPBACK, "localhost"):  # a page elsewhere that names this address by its own name
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if self.path not in ("/", f"/{FILE_NAME}"):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = self.page.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal for the person who started it."""
