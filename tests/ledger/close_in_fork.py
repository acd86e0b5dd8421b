"""What a fork does that closes a day of a tiny ledger."""

import os
import sys
from datetime import date
from pathlib import Path
from typing import Any


def close(told: dict[str, Any], scratch: Path) -> int:
    """Told: root (folder of the lake), day, failpoint, steps, large (whether its books are); says it in report.txt."""
    report = scratch / "report.txt"
    try:
        sys.path.insert(0, str(Path(__file__).parent))
        os.environ["CCARE_FAILPOINT"] = told["failpoint"]
        from books_lake import settings_of

        from ccare.runtime import steps as harness
        from ccare.runtime.day import run_steps

        if told["large"]:
            harness.LARGE_BOOKS = -1
        steps = tuple(told["steps"].split(","))
        lines: list[str] = []
        run_steps(settings_of(Path(told["root"])), date.fromisoformat(told["day"]), steps, lines.append)
        report.write_text("\n".join(lines))
        return 0
    except BaseException as error:
        report.write_text(f"{type(error).__name__}: {error}")
        return int(getattr(error, "exit_code", 70))
