"""``make bench-abuse``: conf/abuse.toml on a simulated market with planted cheats. Nothing in it is real.

Seeds 1-5 are there to choose thresholds on (``--choose`` prints what each rule measures): the present ones separate all
five. The rest is about seeds 101-105, which were not looked at for it. Recall is points withheld of points at stake, of
cheats that began at least SEEN_DAYS earlier: before that nothing that is dated by then tells of them; beside it stands
the recall over all dates. Honest loss is points withheld of points at stake among all honest merchants. Exit code 1
where a pattern that withholds is recalled by less than LEAST_RECALL, or honest loss reaches MOST_LOSS.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.abuse_market import CHEATS, DAYS, GO_LIVE_DAY, HARD, START, Market, market
from ccare.abuse.evidence import measured, spoken
from ccare.abuse.policy import AbusePolicy, load_abuse
from ccare.abuse.spans import Judged
from ccare.abuse.verdicts import against, charges
from ccare.events.slots import load_slots
from ccare.ledger.policy import load_ledger
from ccare.runtime.close import Close
from ccare.runtime.settings import Settings, default_conf
from ccare.runtime.spark import session
from ccare.scoring.policy import load_scoring

SIZES = {"honest": 20, "hard": 1, "cheats": 2}
CHOSEN_ON, TOLD_ON = range(1, 6), range(101, 106)
SEEN_DAYS = 21
LEAST_RECALL, MOST_LOSS = 0.9, 0.005
FLAGGED = "split_orders"
LAST = START + timedelta(days=DAYS - 1)
DATES = tuple(START + timedelta(days=n) for n in range(GO_LIVE_DAY, DAYS))


@dataclass(frozen=True)
class Outcome:
    """Of one kind of merchant: points at stake on the days that count, points withheld, merchants, those hit ever,
    days from the first of cheating to the first withheld (of those that began after go-live), merchants marked ever;
    points at stake and withheld on all dates since the cheating began."""

    stake: int
    withheld: int
    merchants: int
    hit: int
    delays: tuple[int, ...]
    flagged: int
    stake_ever: int
    withheld_ever: int

    @property
    def share(self) -> float:
        """Of points at stake on the days that count, the part withheld."""
        return self.withheld / self.stake if self.stake else 0.0

    @property
    def share_ever(self) -> float:
        """The same of all dates since the cheating began."""
        return self.withheld_ever / self.stake_ever if self.stake_ever else 0.0


def close_of(policy: AbusePolicy) -> Close:
    """What the rules are told: one close of the market's last day."""
    conf = default_conf()
    return Close(
        day=LAST,
        first_day=START,
        run_id="bench",
        posted_at=datetime(2026, 1, 1, tzinfo=UTC),
        timezone="UTC",
        scoring=load_scoring(conf).for_day(LAST),
        ledger=load_ledger(conf).for_day(LAST),
        slots=load_slots(conf, LAST),
        abuse=policy,
    )


def judge(spark: SparkSession, town: Market, policy: AbusePolicy) -> tuple[pa.Table, pa.Table]:
    """Verdicts (merchant_id, effective_date, reason) and evidence of every effective date, in one pass."""
    rules = policy.judging(DATES[0], DATES[-1])
    told = spoken(_measured(spark, town, policy), rules)
    told = told.withColumns(
        {"found_on": F.col("effective_date"), "cleared_on": F.lit(None).cast("date")}
    ).persist()
    rule = against(F.lit("fanxing"), F.col("effective_date")).alias("reason")
    verdicts = charges(told).select("merchant_id", "effective_date", rule)
    found = verdicts.filter(F.col("reason").isNotNull()).toArrow(), told.toArrow()
    told.unpersist()
    return found


def _measured(spark: SparkSession, town: Market, policy: AbusePolicy) -> DataFrame:
    inputs = {name: spark.createDataFrame(rows) for name, rows in town.tables.items()}
    return measured(inputs, close_of(policy), Judged(DATES), policy.judging(DATES[0], DATES[-1]))


def outcomes(town: Market, verdicts: pa.Table, evidence: pa.Table) -> dict[str, Outcome]:
    """Kind of merchant -> what happened to it; plain and hard honest ones together as ``honest`` too."""
    first = pa.Table.from_pylist([{"merchant_id": m, "since": d} for m, d in town.since.items()])
    con = duckdb.connect()
    for name, rows in {
        "stakes": town.stakes,
        "verdicts": verdicts,
        "evidence": evidence,
        "first": first,
    }.items():
        con.register(name, rows)
    rows = con.execute(
        f"""
        with days as (
            select s.merchant_id, s.effective_date, s.points, f.since, v.reason is not null as hit,
                e.rule is not null as flagged, regexp_extract(s.merchant_id, '^[a-z_]+') as kind
            from stakes s
            left join first f on starts_with(s.merchant_id, f.merchant_id)
            left join verdicts v on v.merchant_id = s.merchant_id and v.effective_date = s.effective_date
            left join (select distinct merchant_id, effective_date, min(rule) as rule from evidence group by all) e
                on e.merchant_id = s.merchant_id and e.effective_date = s.effective_date
            where s.effective_date between $first and $last
        )
        select kind, sum(points) filter (since is null or effective_date >= since + {SEEN_DAYS})::bigint,
            coalesce(sum(points) filter (hit and (since is null or effective_date >= since + {SEEN_DAYS})), 0)::bigint,
            count(distinct merchant_id), count(distinct merchant_id) filter (hit),
            list(distinct [merchant_id, (effective_date - since)::varchar]) filter (hit and since >= $first),
            count(distinct merchant_id) filter (flagged),
            coalesce(sum(points) filter (since is null or effective_date >= since), 0)::bigint,
            coalesce(sum(points) filter (hit and (since is null or effective_date >= since)), 0)::bigint
        from days group by kind""",
        {"first": DATES[0], "last": DATES[-1]},
    ).fetchall()
    return {row[0]: Outcome(*row[1:5], _delays(row[5]), *row[6:]) for row in rows}


def _delays(pairs: Sequence[tuple[str, str]] | None) -> tuple[int, ...]:
    """Of each merchant, the first day withheld."""
    first: dict[str, int] = {}
    for merchant, days in pairs or ():
        first[merchant] = min(first.get(merchant, DAYS), int(days))
    return tuple(sorted(first.values()))


def together(found: Iterable[Outcome]) -> Outcome:
    """Several kinds or seeds as one."""
    several = list(found)
    sums = [sum(getattr(o, name) for o in several) for name in ("stake", "withheld", "merchants", "hit")]
    delays = tuple(sorted(d for o in several for d in o.delays))
    last = [sum(getattr(o, name) for o in several) for name in ("flagged", "stake_ever", "withheld_ever")]
    return Outcome(*sums, delays, *last)


def print_outcomes(by_kind: dict[str, list[Outcome]]) -> None:
    """Recall of each pattern (after SEEN_DAYS, the least of a seed, on all dates), and what honest merchants lost."""
    print(f"{'simulated merchants':<18}{'number':>8}{'withheld ever':>15}{'points at stake':>17}{'withheld':>10}"
          f"{'least of a seed':>17}{'all dates':>11}{'median days until seen':>25}{'marked ever':>13}")  # fmt: skip
    lines = {kind: together(by_kind[kind]) for kind in (*CHEATS, "shop", *HARD)} | {
        "all honest": together(_honest(by_kind))
    }
    for kind, told in lines.items():
        delay = told.delays[len(told.delays) // 2] if told.delays else "-"
        print(
            f"{kind:<18}{told.merchants:>8}{told.hit:>15}{told.stake:>17,}{told.share:>10.2%}"
            f"{min((o.share for o in by_kind.get(kind, [told])), default=0):>17.2%}{told.share_ever:>11.2%}"
            f"{delay:>25}{told.flagged:>13}"
        )


def missed(by_kind: dict[str, list[Outcome]]) -> list[str]:
    """What the rules do not reach, in sentences: of each pattern that withholds its recall, and the honest loss."""
    shares = {kind: together(by_kind[kind]).share for kind in CHEATS if kind != FLAGGED}
    found = [
        f"{kind} is recalled by {share:.2%}, less than {LEAST_RECALL:.0%}"
        for kind, share in shares.items()
        if share < LEAST_RECALL
    ]
    loss = together(_honest(by_kind)).share
    return found + (
        [f"honest merchants lose {loss:.2%}, not less than {MOST_LOSS:.1%}"] if loss >= MOST_LOSS else []
    )


def _honest(by_kind: dict[str, list[Outcome]]) -> list[Outcome]:
    return [told for kind, found in by_kind.items() if kind not in CHEATS for told in found]


def print_choice(spark: SparkSession, policy: AbusePolicy, towns: Iterable[Market]) -> None:
    """Of each rule, what it measures among each kind: tenths of cheats, and the far end of honest ones."""
    rules = policy.judging(DATES[0], DATES[-1])
    values: dict[tuple[int, str], list[float]] = defaultdict(list)
    for town in towns:
        for row in _measured(spark, town, policy).filter(F.col("value").isNotNull()).toArrow().to_pylist():
            if row["counted"] >= rules[row["rule_no"]].rule.least:
                kind = row["merchant_id"].split("-")[0]
                values[row["rule_no"], kind].append(row["value"])
    for no, each in enumerate(rules):
        print(
            f"\n{each.rule.name} ({each.rule.test} {each.rule.threshold}): share of merchant-days that pass; tenths"
        )
        for (at, kind), found in sorted(values.items()):
            if at == no:
                found.sort()
                over = sum(
                    v >= each.rule.threshold if each.rule.test == "at_least" else v <= each.rule.threshold
                    for v in found
                )
                tenths = "  ".join(
                    f"{found[min(len(found) * k // 10, len(found) - 1)]:.3f}" for k in range(11)
                )
                print(f"  {kind:<18}{len(found):>7}{over / len(found):>9.1%}   {tenths}")


def main() -> int:
    """Print recall and honest loss of the own policy on the seeds that it was not chosen on; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--choose", action="store_true", help="print what rules measure on the seeds to choose on"
    )
    parser.add_argument("--seeds", type=int, nargs="*", help="other seeds")
    for name, default in SIZES.items():
        parser.add_argument(
            f"--{name}", type=int, default=default, help=f"{name} merchants of a kind and seed"
        )
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in SIZES}
    with tempfile.TemporaryDirectory(prefix="ccare-bench-") as scratch:
        root = Path(scratch)
        spark = session(Settings(lake=root / "lake", landing=root / "landing", exports=root / "exports"))
        seeds = options.seeds or (CHOSEN_ON if options.choose else TOLD_ON)
        policy = load_abuse(default_conf())
        try:
            if options.choose:
                print_choice(spark, policy, (market(seed, **sizes) for seed in seeds))
                return 0
            by_kind: dict[str, list[Outcome]] = defaultdict(list)
            for seed in seeds:
                started = time.monotonic()
                town = market(seed, **sizes)
                for kind, told in outcomes(town, *judge(spark, town, policy)).items():
                    by_kind[kind].append(told)
                seconds = time.monotonic() - started
                print(
                    f"seed {seed}: {town.tables['core_payments'].num_rows:,} trades, {seconds:.1f} s",
                    flush=True,
                )
            print_outcomes(by_kind)
        finally:
            spark.stop()
    for sentence in missed(by_kind):
        print(f"missed: {sentence}")
    return 1 if missed(by_kind) else 0


if __name__ == "__main__":
    raise SystemExit(main())
