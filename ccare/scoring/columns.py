"""Between Arrow's columns and NumPy's: null is NaN in floats, and a mask beside whole numbers."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ccare.scoring.arithmetic import Floats


def floats(rows: pa.Table, names: Sequence[str]) -> dict[str, Floats]:
    """Columns as float64."""
    return {name: rows[name].cast(pa.float64(), safe=False).to_numpy() for name in names}


def whole(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """A bigint column to its last digit, and where it is null (0 there)."""
    return column.fill_null(0).to_numpy(), column.is_null().to_numpy()


def told(values: Floats) -> pa.Array:
    """Doubles, NaN as null."""
    return pa.array(values, mask=np.isnan(values))


def chosen(codes: NDArray[np.intp], words: Sequence[str | None]) -> pa.Array:
    """One of ``words`` for each code."""
    return pa.array(words, pa.string()).take(pa.array(codes))
