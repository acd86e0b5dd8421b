"""Named questions: sql/growth/*.sql, each with a header that says what it asks and how to run it."""

import re
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from ccare.errors import UsageError

LISTED = "Named queries: from queries, as in ccare sql -c 'select name, question from queries'."
Value = str | int | float | date | None
_HEADING = re.compile(r"^-- (Question|Grain|Parameters|Run|Plot): ?(.*)$")
_PARAMETER = re.compile(r"^--   (\w+) (VARCHAR|INTEGER|DOUBLE|DATE) = (\S+?)(?: \{([^}]+)\})?: (.+)$")


@dataclass(frozen=True)
class Parameter:
    """A named parameter; ``default`` is none where the query does without, ``choices`` the only words it knows."""

    name: str
    type: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> Value:
        """The value that ``text`` means; UsageError where it is none of the parameter's type or choices, or below 0."""
        try:
            value = _convert(self.type, text)
        except ValueError:
            raise self._refused(f"is {text!r}, which is no {self.type}") from None
        if isinstance(value, int | float) and value < 0:
            raise self._refused(f"is {text}, which is below 0")
        if self.choices and value is not None and value not in self.choices:
            raise self._refused(f"is {text!r}, which it does not know")
        return value

    def _refused(self, what: str) -> UsageError:
        return UsageError(f"{self.name} {what}.", remedy=f"{self.name}: {self.description}.")


@dataclass(frozen=True)
class Plot:
    """How an answer is drawn: ``kind`` (line, bar or heat) of columns ``y`` over ``x``, told apart ``by`` another.

    A heat map's ``by`` is the value in its cells, and it has one ``y``.
    """

    kind: str
    x: str
    y: tuple[str, ...]
    by: str | None = None


@dataclass(frozen=True)
class Question:
    """One named query."""

    name: str
    question: str
    grain: str
    parameters: tuple[Parameter, ...]
    run: str
    sql: str
    plot: Plot | None = None


def folder() -> Path:
    """The questions that come with the product: sql/growth in a checkout, ccare/_sql/growth in a wheel."""
    package = Path(__file__).resolve().parent.parent
    packaged = package / "_sql" / "growth"
    return packaged if packaged.is_dir() else package.parent / "sql" / "growth"


def questions() -> dict[str, Question]:
    """Every named question, in name order."""
    return {
        path.stem: parse(path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(folder().glob("*.sql"))
    }


def question(name: str) -> Question:
    """The question called ``name``; UsageError with the nearest names."""
    known = questions()
    if name in known:
        return known[name]
    near = get_close_matches(name, known, cutoff=0.5)
    raise UsageError(
        f"There is no named query {name}.", remedy=f"Did you mean {' or '.join(near)}?" if near else LISTED
    )


def headed(text: str) -> Question | None:
    """A query of one's own as a question, where it has a header like those in sql/growth."""
    try:
        return parse("query", text)
    except ValueError:
        return None


def parse(name: str, text: str) -> Question:
    """A question file. Raises ValueError where its header lacks a part."""
    found: dict[str, str] = {}
    parameters = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        heading, parameter = _HEADING.match(line), _PARAMETER.match(line)
        if heading:
            found[heading[1].lower()] = heading[2].strip()
        elif parameter:
            parameters.append(_parameter(*parameter.groups()))
    missing = [part for part in ("question", "grain", "parameters", "run") if part not in found]
    if missing:
        raise ValueError(f"{name}.sql says no {', '.join(missing)}")
    plot = _plot(name, found["plot"]) if "plot" in found else None
    return Question(
        name, found["question"], found["grain"], tuple(parameters), found["run"], text.strip(), plot
    )


def _parameter(name: str, kind: str, default: str, choices: str | None, description: str) -> Parameter:
    words = tuple(re.split(r", ?", choices)) if choices else ()
    told = f"{description} (one of {', '.join(words)})" if words else description
    return Parameter(name, kind, _convert(kind, default), told, words)


def _plot(name: str, text: str) -> Plot:
    kind, *parts = text.split()
    told = dict(part.split("=", 1) for part in parts if "=" in part)
    if kind not in ("line", "bar", "heat") or not {"x", "y"} <= set(told):
        raise ValueError(f"{name}.sql plots {text!r}: say line, bar or heat, x=COLUMN and y=COLUMN")
    return Plot(kind, told["x"], tuple(told["y"].split(",")), told.get("by"))


def _convert(kind: str, text: str) -> Value:
    if text == "none":
        return None
    if kind == "DATE":
        return date.fromisoformat(text)
    if kind == "INTEGER":
        return int(text)
    return float(text) if kind == "DOUBLE" else text
