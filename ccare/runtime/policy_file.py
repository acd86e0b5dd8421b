"""Files of policy: the one in ``CCARE_CONF`` where it is there, else the product's own; unreadable ones by name."""

import tomllib
from pathlib import Path
from typing import Any

from ccare.errors import InputMissing, UsageError
from ccare.runtime.settings import default_conf


def policy_path(conf: Path, name: str) -> Path:
    """The file ``name`` of ``conf``, or the product's own where ``conf`` has none."""
    path = conf / name
    return path if path.is_file() else default_conf() / name


def read_policy(path: Path, what: str) -> dict[str, Any]:
    """What the file says; InputMissing where it cannot be read, UsageError where it is no TOML. ``what`` names it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputMissing(
            f"The {what} {path} cannot be read ({error.strerror}).", remedy="Set CCARE_CONF."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.", remedy="Mend the line it names.") from None
