"""In which order the lines of a large delivery name their fields, guessed from its beginning.

An exporter writes its fields in one order, or in few. Where a line has a known one, each field is at a known place and
is not looked for. A guess and no more: every line is held against it, and one that is like none is read as before.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ccare.events.read import Layout, field_names
from ccare.runtime.intake import Delivery
from ccare.runtime.survey import CODECS, HEADER_MAX_BYTES
from ccare.tables.streams import Stream

LAYOUTS_MAX = 3
"""Each is one more comparison of every line that is like none before it."""


def layouts(files: Sequence[Delivery], landing: Path, stream: Stream) -> tuple[Layout, ...]:
    """Orders of fields at the beginning of the largest JSON file, the most frequent first; none where it has none.

    Only of fields that the stream declares: another name may be anything, and would stand in the query's plan.
    """
    largest = max((d for d in files if not d.header), key=lambda d: d.bytes, default=None)
    if largest is None:
        return ()
    path = largest.file(landing)
    try:
        with pa.input_stream(str(path), compression=CODECS.get(path.suffix)) as handle:
            lines = handle.read(HEADER_MAX_BYTES).split(b"\n")
    except OSError:
        return ()
    declared = set(field_names(stream))
    found = Counter(names for line in lines if (names := _names(line)) and declared.issuperset(names))
    return tuple(names for names, _ in found.most_common(LAYOUTS_MAX))


def _names(line: bytes) -> Layout:
    """The keys of an object in their order, each once; none where the line is no object, or has one twice."""
    try:
        told = json.loads(line, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    except (ValueError, RecursionError):
        return ()
    if not isinstance(told, list) or not all(isinstance(name, str) for name in told):
        return ()
    return tuple(told) if len({*told}) == len(told) else ()
