"""The policy of ``ccare demo --real-only``: the demo's, with the lines that it keeps for purchases alone.

A line of ``conf/demo`` that starts with ``MARK`` holds in that demo, in place of one of the same key right below it,
and is a comment in the other: each number of the policy stands once.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ccare.runtime.manifest import write_atomically

MARK = "#real-only: "


def write_real_only(demo: Path, conf: Path) -> None:
    """Write the files of ``demo`` to ``conf``, the marked lines in force. The same files give the same bytes."""
    conf.mkdir(parents=True, exist_ok=True)
    for path in sorted(demo.glob("*.toml")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        write_atomically(conf / path.name, "".join(_in_force(lines)))


def _in_force(lines: Iterable[str]) -> Iterator[str]:
    replaced = ""
    for line in lines:
        said = line.removeprefix(MARK)
        key = said.partition(" = ")[0]
        if said != line or key != replaced:
            yield said
        replaced = key if said != line else ""
