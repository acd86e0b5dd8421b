"""What was published of a merchant's score: rows, benchmarks, policy and the run behind them. No JVM."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from ccare.errors import InputMissing, IntegrityBroken
from ccare.growth.snapshot import view_sql
from ccare.runtime import deltalog, manifest
from ccare.runtime.day import LakeState
from ccare.runtime.lease import FORGET, read_record
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.scoring.months import days_of, month_in_use
from ccare.scoring.places import Benchmarks, as_benchmarks
from ccare.scoring.policy import ScoringPolicy, load_scoring
from ccare.scoring.remeasure import CORES, Sources
from ccare.tables import table

Row = dict[str, Any]
_SCORES = ("score_merchants", "score_drivers")


@dataclass(frozen=True)
class Lake:
    """The published lake: its manifest rows, checked, the last of them pinning every table."""

    settings: Settings
    rows: Sequence[Published]

    @property
    def last(self) -> Published:
        return self.rows[-1]

    def versions_of(self, run: Published) -> Mapping[str, int]:
        """The table versions that ``run`` told its day from: its own, or for a day told again its close's."""
        if run.kind == "close":
            return run.table_versions
        before = LakeState([row for row in self.rows if row.seq < run.seq])
        told_from = before.state_of(run.business_date)
        return run.table_versions if told_from is None else told_from.table_versions

    def sources_of(self, run: Published) -> Sources:
        """Core tables as ``run`` read them; where their files are purged, as they are now, by taken_on.

        InputMissing where a user was forgotten since: then rows of the day are not there any more.
        """
        lake, own = self.settings.lake, self.versions_of(run)
        versions = {name: own[name] for name in (*CORES, "core_merchants") if name in own}
        # A day told again reads old rows, and the models that had been fitted by then.
        versions |= {n: v for n, v in run.table_versions.items() if n == "score_potentials"}
        if not all(_whole(lake, name, version) for name, version in versions.items()):
            if any(row.kind == FORGET and row.seq > run.seq for row in self.rows):
                raise InputMissing(
                    f"The core rows behind {run.business_date} were purged, and users were forgotten since.",
                    remedy="Scores after the last `ccare forget` can be explained; see docs/how-to/forget.md.",
                )
            versions = {name: self.last.table_versions[name] for name in versions}
        return Sources(lake, versions, self.settings.conf)


def open_lake(settings: Settings) -> Lake:
    """The published lake; InputMissing where nothing is published, IntegrityBroken where it is not what was.

    That includes score tables that somebody wrote to outside a run: readers would not see it, people may.
    """
    rows = manifest.published(settings.lake)
    if not rows:
        raise InputMissing(
            f"Nothing is published in {settings.lake}.", remedy="Run `ccare demo`, or `ccare run --day D`."
        )
    manifest.check_tables(settings.lake, rows[-1])
    if read_record(settings.lake) is None:
        for name in _SCORES:
            newest, pinned = deltalog.latest_version(settings.lake, name), rows[-1].table_versions.get(name)
            if newest != pinned:
                raise IntegrityBroken(
                    f"Table {name} stands at version {newest} and {pinned} was published: no run wrote that.",
                    remedy="Find the other writer, then restore the table; see docs/how-to/recover.md.",
                )
    return Lake(settings, rows)


@dataclass(frozen=True)
class Scored:
    """A merchant's published score of one day, with all that it was made from.

    ``first_group``: the group of the first score since the benchmarks came into use, None where that is this one;
    ``cuts``: industry -> (first, second tercile).
    """

    merchant_id: str
    day: date
    scores: Row
    drivers: Mapping[str, Row]
    run: Published
    policy: ScoringPolicy
    benchmarks_of: str
    frozen: Sequence[Row]
    first_group: str | None
    cuts: Mapping[str, tuple[float, float]]
    model: Row = field(default_factory=dict)

    @cached_property
    def benchmarks(self) -> Benchmarks:
        """What the merchant's group is compared with."""
        return as_benchmarks(self.frozen)


def read_scored(lake: Lake, merchant_id: str, day: date, at: Published | None = None) -> Scored:
    """The score of ``day`` as the run ``at`` (default: the last) left it; InputMissing where there is none."""
    pinned = at or lake.last
    scores = _one(lake, pinned, "score_merchants", merchant_id, day)
    if scores is None:
        raise _not_scored(lake, merchant_id, day)
    run = next((row for row in lake.rows if row.run_id == scores["run_id"]), None)
    if run is None:
        raise IntegrityBroken(
            f"Table score_merchants: {merchant_id} on {day} names the run {scores['run_id']}, never published.",
            remedy="Restore the table from a backup, then run `ccare verify`.",
        )
    month, frozen = _in_use(lake, run, day)
    found = read_rows(
        lake.settings.lake,
        "score_drivers",
        pinned.table_versions["score_drivers"],
        [str(day)],
        merchant=merchant_id,
    )
    metrics = _one(lake, pinned, "metric_merchants", merchant_id, day) or {}
    return Scored(
        merchant_id,
        day,
        scores,
        {row["metric_id"]: row for row in found},
        run,
        policy_called(lake.settings, scores["policy_version"]),
        month,
        frozen,
        _first_group(lake, pinned, merchant_id, month, day),
        {row["industry"]: (row["tier_low"], row["tier_high"]) for row in frozen},
        {name: value for name, value in metrics.items() if name.startswith("r_realised_ratio")},
    )


def frozen_for(lake: Lake, run_id: str, day: date) -> Sequence[Row]:
    """The rows of score_benchmarks that the run of that id compared ``day`` with."""
    run = next((row for row in lake.rows if row.run_id == run_id), lake.last)
    return _in_use(lake, run, day)[1]


def _in_use(lake: Lake, run: Published, day: date) -> tuple[str, Sequence[Row]]:
    version = run.table_versions.get("score_benchmarks")
    months = [] if version is None else _partitions(lake.settings.lake, "score_benchmarks", version)
    month = month_in_use(day, months)
    return month, read_rows(lake.settings.lake, "score_benchmarks", version, [month])


def policy_called(settings: Settings, version: str) -> ScoringPolicy:
    """The scoring policy of that name; InputMissing where the conf folder has it no more."""
    found = {policy.version: policy for policy in load_scoring(settings.conf).versions}
    if version not in found:
        raise InputMissing(
            f"The scoring policy {version} is not in {settings.conf}.",
            remedy="A past version is never taken out of scoring.toml: put it back.",
        )
    return found[version]


def read_rows(
    lake: Path,
    name: str,
    version: int | None,
    partitions: Collection[str] | None = None,
    *,
    merchant: str | None = None,
) -> list[Row]:
    """Rows of some partitions of a table (of one merchant); IntegrityBroken where files cannot be read."""
    sql = view_sql(lake, table(name), version, partitions)
    where = "" if merchant is None else " where merchant_id = $1"
    try:
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            cursor = con.execute(f"from ({sql}){where}", None if merchant is None else [merchant])
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except duckdb.Error as error:
        raise IntegrityBroken(
            f"Table {name} cannot be read at version {version}: {str(error)[:200]}",
            remedy="Restore its files from a backup, or see docs/how-to/recover.md.",
        ) from None


def _one(lake: Lake, pinned: Published, name: str, merchant_id: str, day: date) -> Row | None:
    version = pinned.table_versions.get(name)
    found = read_rows(lake.settings.lake, name, version, [str(day)], merchant=merchant_id)
    return found[0] if found else None


def _first_group(lake: Lake, pinned: Published, merchant_id: str, month: str, day: date) -> str | None:
    since, _ = days_of(month, day)
    earlier = [str(since + timedelta(days=n)) for n in range((day - since).days)]
    rows = read_rows(
        lake.settings.lake,
        "score_merchants",
        pinned.table_versions["score_merchants"],
        earlier,
        merchant=merchant_id,
    )
    held = [(row["as_of_date"], row["peer_group"]) for row in rows if row["peer_group"] is not None]
    return min(held)[1] if held else None


def _partitions(lake: Path, name: str, version: int) -> list[str]:
    opened = deltalog.open_table(lake, name, version)
    return sorted({next(iter(p.values())) for p in opened.partitions()})


def _whole(lake: Path, name: str, version: int) -> bool:
    return all(Path(path).exists() for path in deltalog.data_files(lake, name, version))


def _not_scored(lake: Lake, merchant_id: str, day: date) -> InputMissing:
    days = _partitions(lake.settings.lake, "score_merchants", lake.last.table_versions["score_merchants"])
    if str(day) not in days:
        known = f"scored days go from {days[0]} to {days[-1]}" if days else "no day is scored yet"
        return InputMissing(
            f"{day} is not scored; {known}.", remedy=f"Close it first: ccare run --day {day}."
        )
    return InputMissing(
        f"No merchant {merchant_id} is scored on {day}.", remedy="See merchant_id in scores.csv of that day."
    )
