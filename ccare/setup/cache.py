"""The cache folder of this user: jars, the Java wrapper, class archives. All of it can be made again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccare.errors import CcareError


def cache_folder() -> Path:
    """``$CCARE_CACHE``, else ``$XDG_CACHE_HOME/ccare``, else ``~/.cache/ccare``: absolute, maybe absent."""
    if own := os.environ.get("CCARE_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "ccare"


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target``; on success it takes the target's name, on failure it is removed.

    Readers see the old file or the whole new one. Raises CcareError when the folder cannot be written.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(target)
    except OSError as error:
        raise CcareError(
            f"The cache folder {target.parent} cannot be written ({error.strerror or error}).",
            remedy="Free space there, or set CCARE_CACHE to a folder you can write, and run `make setup`.",
        ) from error
    finally:
        part.unlink(missing_ok=True)
