"""When runs happen, what a person may give to one, and the assets that they update."""

import os
import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Asset, CronPartitionTimetable, CronTriggerTimetable, Param

from ccare.errors import UsageError
from ccare.orchestration.alerts import on_failure
from ccare.orchestration.exits import RETRIES
from ccare.orchestration.retries import RetryByExitCode
from ccare.orchestration.run_day import DATE_PATTERN, REASON_CHARACTERS, REQUIRED_STREAMS, business_day
from ccare.runtime.settings import Settings
from ccare.tables import stored_tables, table

OWNER = "data-engineering"


def daily_schedule() -> CronPartitionTimetable:
    """One run a day at CCARE_SCHEDULE_AT (HH:MM, default 06:00, business time) for the day before.

    The run's partition key is that business day. UsageError where the time or the time zone is not one.
    """
    return _partitions("{minute} {hour} * * *")


def monthly_schedule() -> CronPartitionTimetable:
    """One run a month, on its first day at CCARE_SCHEDULE_AT, for the month before: its first day is the key."""
    return _partitions("{minute} {hour} 1 * *")


def clock_schedule(cron: str) -> CronTriggerTimetable:
    """Runs by the clock of the business time zone, for no day of their own."""
    return CronTriggerTimetable(cron, timezone=_settings().timezone)


def _partitions(cron: str) -> CronPartitionTimetable:
    at = os.environ.get("CCARE_SCHEDULE_AT") or "06:00"
    if not re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", at):
        raise UsageError(f"CCARE_SCHEDULE_AT is {at!r}.", remedy="Write HH:MM, for example 06:00.")
    hour, minute = map(int, at.split(":"))
    told = cron.format(hour=hour, minute=minute)
    return CronPartitionTimetable(told, timezone=_settings().timezone, run_offset=-1, key_format="%Y-%m-%d")


def first_run() -> datetime | None:
    """Where the schedule starts so that CCARE_SCHEDULE_FROM is the first business day that it closes.

    None where it is not set: then runs start when the DAG is switched on, and no past day is made up for.
    """
    first = os.environ.get("CCARE_SCHEDULE_FROM")
    if not first:
        return None
    day = business_day(first, None, None)
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(_settings().timezone))


def task_defaults() -> dict[str, Any]:
    """default_args of every task: owner, retries by exit code, a time limit, mail, the pool CCARE_AIRFLOW_POOL."""
    return {
        "owner": OWNER,
        "retries": RETRIES,
        "retry_delay": timedelta(minutes=5),
        "retry_policy": RetryByExitCode(),
        "execution_timeout": timedelta(hours=6),
        "on_failure_callback": on_failure(),
        "pool": os.environ.get("CCARE_AIRFLOW_POOL") or "default_pool",
    }


def run_params() -> dict[str, Param]:
    """What a person may give when a day's run is triggered, each with its JSON schema."""
    return {
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            pattern=DATE_PATTERN,
            description="Business day. Leave it empty for a run that has a partition key.",
        ),
        "allow_missing": Param(
            [],
            type="array",
            items={"type": "string", "enum": list(REQUIRED_STREAMS)},
            uniqueItems=True,
            description="Required streams to go on without; the run records it.",
        ),
    }


def range_params(*, reason: bool = False) -> dict[str, Param]:
    """What a person must give when a range's run is triggered: from, to, and why where days are told again."""
    params = {
        "from": Param(type="string", format="date", pattern=DATE_PATTERN, description="First business day."),
        "to": Param(type="string", format="date", pattern=DATE_PATTERN, description="Last business day."),
    }
    if reason:
        params["reason"] = Param(
            type="string",
            minLength=1,
            maxLength=REASON_CHARACTERS,
            description="Why the days are told again; published in run_restatements.",
        )
    return params


def asset(name: str) -> Asset:
    """The asset of a stored table: its name, and its place in the lake as URI. KeyError for other names."""
    declared = table(name)
    if declared not in stored_tables():
        raise KeyError(f"{name} lives in a run only: it has no asset")
    return Asset(name=name, uri=(_settings().lake / name).as_uri(), group="ccare")


def assets(*layers: str) -> list[Asset]:
    """Assets of every stored table of some layers, left to right."""
    return [asset(declared.name) for declared in stored_tables() if declared.layer in layers]


def _settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings without the secret: who parses DAGs need not be able to read the key."""
    return Settings.load({k: v for k, v in environ.items() if not k.startswith("CCARE_PSEUDONYM_KEY")})
