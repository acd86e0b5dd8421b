"""What the desk's charts are made of: channels, tooltips and marks in Vega-Lite, titled by the names of columns.

Texts are pairs of Words, of which ``in_language`` picks one. Rows come with words in place of their ids (desk_values),
so a domain or an order lists words too.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ccare.exports.words import LANGUAGES, Words
from ccare.growth.desk_words import COLUMN, in_language

Spec = dict[str, Any]


def channel(name: str, kind: str, axis: Spec | None = None, title: Words | None = None, **more: Any) -> Spec:
    """An axis of a column. It shows no title where its values say what they are; what is read aloud has the name."""
    return {
        "field": name,
        "type": kind,
        "title": title or COLUMN[name],
        "axis": {"title": None} | (axis or {}),
        **more,
    }


def colour(name: str, words: Iterable[Words], colours: Iterable[str]) -> Spec:
    """Colours of a column's words, without a title above them."""
    scale = {"domain": list(words), "range": list(colours)}
    return {
        "field": name,
        "type": "nominal",
        "title": COLUMN[name],
        "legend": {"title": None},
        "scale": scale,
    }


def beside(name: str, **more: Any) -> Spec:
    """A second channel of a chart: the other end of a bar, an order, a place within a band."""
    return {"field": name, "title": COLUMN[name], **more}


def number(name: str, title: Words, **more: Any) -> Spec:
    """A channel of numbers."""
    return {"field": name, "type": "quantitative", "title": title, **more}


def tip(*names: str) -> list[Spec]:
    """A tooltip of columns."""
    return [{"field": name, "title": COLUMN[name]} for name in names]


def share(name: str) -> Spec:
    """A line of a tooltip, in percent."""
    return {"field": name, "title": COLUMN[name], "format": ".1%"}


def words_of(field: str, known: Mapping[str, Words]) -> Words:
    """An expression for each language: the word of what ``field`` holds."""
    told = (json.dumps(in_language(dict(known), language), ensure_ascii=False) for language in LANGUAGES)
    return Words(*(f"({words})[datum.{field}]" for words in told))


WEEKS = {
    "format": Words("%d %b %Y", "%Y-%m-%d"),
    "labelAngle": 0,
    "labelOverlap": True,
    "tickCount": 6,
}
THOUSANDS = {
    "format": ",d",
    "tickCount": 5,
    "labelExpr": "datum.value % 1 ? '' : datum.label",  # counts of a few: no 0.5 that is written as 1
}
WASH = {"range": ["#eef3f8", "#0b5394"]}
AT_THE_END = {"mark": {"type": "text", "align": "left", "dx": 4, "color": "#1a1f26", "aria": False}}


def cell(name: str, form: str, dark: str) -> Spec:
    """A number in its cell, white where the cell is ``dark``."""
    return {
        "mark": {"type": "text", "fontSize": 11, "aria": False},
        "encoding": {
            "text": number(name, COLUMN[name], format=form),
            "color": {"condition": {"test": dark, "value": "white"}, "value": "#1a1f26"},
        },
    }
