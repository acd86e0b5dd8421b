"""Three days of deliveries with what a night brings, and the lake that plain ``ccare run`` makes of them."""

import json
import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ccare.runtime.releases import FOLDER, releases_of
from ccare.runtime.settings import Settings, default_conf
from tests.forks import Forks
from tests.small_landing import FIRST, write_day

ROOT = Path(__file__).resolve().parents[2]
DAYS = [FIRST + timedelta(days=n) for n in range(3)]
KEY = "0123456789abcdef0123456789abcdef-a-key-for-tests"
RULE = "core_payments.refused_share"
REASON = "rows of the till's test; agreed with its owner"
PHONE = "13800138000"
"""A user of the late row and of those that are refused."""


def environment(root: Path) -> dict[str, str]:
    """The lake's settings as a scheduler's unit file would give them; each JVM leaves a file under ``root``."""
    folders = {f"CCARE_{name.upper()}": str(root / name) for name in ("lake", "landing", "exports")}
    # No run of today's clock while the test lasts.
    at = datetime.now(UTC) + timedelta(hours=12)
    return folders | {
        "CCARE_PSEUDONYM_KEY": KEY,
        "CCARE_CONF": str(default_conf() / "demo"),
        "CCARE_BUSINESS_TIMEZONE": "UTC",
        "CCARE_SPARK_MASTER": "local[2]",
        "CCARE_DRIVER_MEMORY": "1g",
        "CCARE_JAVA_OPTIONS": f"-Xlog:os:file={root}/jvm-%p.log",
        "CCARE_SCHEDULE_AT": f"{at:%H:%M}",
    }


def settings(root: Path) -> Settings:
    """The same, for looking at the lake from here."""
    folders = {name: root / name for name in ("lake", "landing", "exports")}
    return Settings(**folders, timezone="UTC", conf=default_conf() / "demo")


def deliver(landing: Path, day: date) -> None:
    """What comes on the morning after ``day``.

    With the second day's come two files that came before under other names; with the third's a payment of the first
    day, and so many rows that cannot be read that a gate refuses the day.
    """
    write_day(landing, day, history=5 if day == DAYS[0] else 0)
    payments = landing / "payments" / str(day + timedelta(days=1))
    if day == DAYS[1]:
        shutil.copy(payments / "payments.jsonl", payments / "sent-again.jsonl")
        first = landing / "life_account" / str(DAYS[1]) / "life_account.jsonl"
        shutil.copy(first, landing / "life_account" / str(DAYS[2]) / "sent-again.jsonl")
    if day == DAYS[2]:
        paid = {"event_type": "paid", "merchant_id": "m1", "user_id": PHONE, "amount_fen": 5000}
        late = {**paid, "event_id": "late", "trade_no": "late", "occurred_at": f"{DAYS[0]}T23:00:00Z"}
        (payments / "late.jsonl").write_text(json.dumps(late) + "\n")
        bad = {**paid, "amount_fen": "1.50", "occurred_at": f"{day}T10:00:00Z"}
        rows = [{**bad, "event_id": f"bad{n}", "trade_no": f"bad{n}"} for n in range(100)]
        (payments / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def close_plainly(plain: Path, night: Path, forks: Forks) -> None:
    """``ccare run --day`` for each day; the refused one goes on by ``ccare release``, in the name given at night."""
    for day in DAYS[:2]:
        deliver(plain / "landing", day)
        ccare(forks, plain, "run", "--day", str(day))
    deliver(plain / "landing", DAYS[2])
    assert RULE in ccare(forks, plain, "run", "--day", str(DAYS[2]), ends=10)
    (approved,) = releases_of(night / "landing", DAYS[2])
    words = ("--rule", RULE, "--by", approved.by, "--reason", REASON)
    ccare(forks, plain, "release", "--day", str(DAYS[2]), *words)
    (released,) = releases_of(plain / "landing", DAYS[2])
    assert replace(released, released_at=approved.released_at) == approved
    # A release is a delivery: both lakes are given the same one, so its second is the same too.
    shutil.copytree(night / "landing" / FOLDER, plain / "landing" / FOLDER, dirs_exist_ok=True)
    ccare(forks, plain, "run", "--day", str(DAYS[2]))


def ccare(forks: Forks, root: Path, *words: str, ends: int = 0) -> str:
    """``ccare WORDS…`` in a process of its own; returns what it said."""
    began = time.monotonic()
    ran = forks.run(words, {**os.environ, **environment(root)})
    assert ran.returncode == ends, ran.stdout[-3000:] + ran.stderr[-3000:]
    print(f"ccare {' '.join(words[:3])}: {time.monotonic() - began:.1f} s")
    return ran.stdout + ran.stderr
