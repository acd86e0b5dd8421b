"""Bills of a day into core_bill_lines: read block by block without Spark, staged as Parquet, judged by Spark.

A bill is refused whole where its totals differ, it is another export, or nobody is known by its account.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet
from pyspark.sql import DataFrame

from ccare.errors import IntegrityBroken
from ccare.events.bill_numbers import with_starred, with_tokens
from ccare.events.bills import accepted_lines, bill_fates, rejected_lines
from ccare.events.fate import ACCEPTED, REJECTED
from ccare.events.pseudonym import token_of
from ccare.reconcile.policy import load_reconcile
from ccare.runtime import deltalog
from ccare.runtime.bill_payments import store_payments
from ccare.runtime.failpoint import reach
from ccare.runtime.intake import Delivery
from ccare.runtime.run import Run
from ccare.runtime.sidecar import sidecar_fault
from ccare.runtime.spark import conform
from ccare.runtime.staging import stage_rejected, staging_dir
from ccare.sources import alipay_bill, wechat_bill
from ccare.sources.bill_columns import BILL_LINE, once
from ccare.sources.bills import ALIPAY, WECHAT, BillRefused, MerchantOf
from ccare.tables import table

CURRENCY = "CNY"
BATCH = 100_000
"""Lines of one row group."""
LOOK_BACK_DAYS = 400
"""A line is looked for among lines dated this many days before and after the batch's own: bills go back a year."""
_PAYER, _DATED = "payer", "occurred_at"
_READ = {alipay_bill.STREAM: alipay_bill.bill_lines, wechat_bill.STREAM: wechat_bill.bill_lines}
_CHANNEL = {alipay_bill.STREAM: ALIPAY, wechat_bill.STREAM: WECHAT}
_ACCOUNT = {ALIPAY: "alipay_account", WECHAT: "wechat_mch_id"}
_PID_ENDING = "0156"
"""An Alipay account number is the partner id (2088…) with this behind it; either may be what upstream knows."""
_FROM = [
    *(pa.field(name, pa.string()) for name in ("channel", "path", "file_sha256")),
    *(pa.field(name, pa.date32()) for name in ("delivery_date", "taken_on")),
]
_LINE = [field for field in BILL_LINE if field.name != _PAYER]
_SCHEMA = pa.schema([*_LINE, *_FROM, pa.field("user_key", pa.string())])
_ALIKE = [*(field.name for field in _FROM), "merchant_id", "kind", "user_key"]
"""Columns that say little over and over: every other one would build a dictionary in vain."""


@dataclass(frozen=True)
class TakenBills:
    """Every delivery with what its reading found, the fates of bill lines by path, and their rejects by stream."""

    deliveries: list[Delivery]
    fates: dict[str, dict[str, int]]
    rejected: dict[str, int]


def take_bills(run: Run, found: list[Delivery]) -> TakenBills:
    """Read the bills among ``found``, store their lines and put refused ones aside with the other streams'."""
    if not any(d.stream in _READ and d.status == "taken" for d in found):
        return TakenBills(found, {}, {})
    folder = staging_dir(run.settings.lake, run.record.run_id) / "bills"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    accounts = _Accounts(run)
    payers = load_reconcile(run.settings.conf, run.close.day).payments_from
    read = [_read(run, d, accounts, folder / f"{n}.parquet", payers) for n, d in enumerate(found)]
    reach("bills.staged")
    taken = [d for d in read if d.stream in _READ and d.status == "taken" and d.lines]
    fates, rejected = _take(run, taken, folder, payers) if taken else ({}, {})
    shutil.rmtree(folder, ignore_errors=True)
    return TakenBills(read, fates, rejected)


def _read(run: Run, d: Delivery, accounts: "_Accounts", staged: Path, payers: tuple[str, ...]) -> Delivery:
    """A bill's lines to one Parquet file; a refused bill leaves none, and says why."""
    if d.stream not in _READ or d.status != "taken":
        return d
    channel = _CHANNEL[d.stream]
    try:
        if run.settings.currency != CURRENCY:
            raise BillRefused(f"Its amounts are yuan and the lake's currency is {run.settings.currency}.")
        path, merchant_of = d.file(run.settings.landing), accounts.of(channel)
        # Only WeChat's bill names its payer.
        lines = (
            wechat_bill.bill_lines(path, merchant_of, payers=True)
            if channel in payers and channel == WECHAT
            else _READ[d.stream](path, merchant_of)
        )
        count = _stage(lines, channel, d, staged, run.settings.require_key())
        if fault := sidecar_fault(d.file(run.settings.landing), d.sha256, count):
            raise BillRefused(f"By its sidecar: {fault}.")
        return replace(d, lines=count)
    except BillRefused as refused:
        staged.unlink(missing_ok=True)
        run.said(f"  warning: {d.path} is refused: {refused}")
        return replace(d, status="refused", note=str(refused))


def _stage(tables: Iterator[pa.Table], channel: str, d: Delivery, path: Path, key: bytes) -> int:
    count, held = 0, []
    options = {"compression": "zstd", "use_dictionary": _ALIKE, "write_statistics": [_DATED]}
    with parquet.ParquetWriter(path, _SCHEMA, **options) as writer:
        for lines in tables:
            held.append(_staged(lines, channel, d, key))
            if sum(map(len, held)) >= BATCH:
                writer.write_table(pa.concat_tables(held))
                held = []
            count += len(lines)
        writer.write_table(pa.concat_tables(held or [_SCHEMA.empty_table()]))
    return count


def _staged(lines: pa.Table, channel: str, d: Delivery, key: bytes) -> pa.Table:
    """Lines as they are staged; a payer goes no further than here, nor a number that looks personal: tokens do."""
    lines = with_starred(with_tokens(lines, key))
    facts = (channel, d.path, d.sha256, d.delivery_date, d.taken_on)
    arrays = [lines[field.name] for field in _LINE]
    arrays += [pa.repeat(pa.scalar(v, f.type), len(lines)) for f, v in zip(_FROM, facts, strict=True)]
    payers = lines[_PAYER].combine_chunks()
    tokens = once(payers, lambda payer: token_of(key, payer) if payer else None, pa.string())
    return pa.Table.from_arrays([*arrays, tokens], schema=_SCHEMA)


def _take(
    run: Run, taken: list[Delivery], folder: Path, payers: tuple[str, ...]
) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    meter = run.meter("core_bill_lines")
    inputs = {"landing": run.spark.read.parquet(str(folder))}
    if run.as_published.get("core_bill_lines") is not None:
        first, last = _dates(folder)
        before = run.before("core_bill_lines")
        around = before.business_date.between(first, last)
        inputs["core_bill_lines"] = before.where(around)
    rows = bill_fates(inputs, run.close).persist()
    fates = _count(rows, taken)
    rejected: dict[str, int] = {}
    for stream, channel in _CHANNEL.items():
        own = [fates[d.path].get(REJECTED, 0) for d in taken if d.stream == stream]
        if sum(own):
            rejected[stream] = sum(own)
            stage_rejected(run, stream, rejected_lines(rows, channel))
    count = sum(counts.get(ACCEPTED, 0) for counts in fates.values())
    if count:
        declared = table("core_bill_lines")
        df = conform(accepted_lines(rows), declared)
        run.store("ingest", declared, df, [run.close.day], meter, at_most=count, cached=True)
        if payers:
            store_payments(run, rows, payers)
    rows.unpersist()
    return fates, rejected


def _dates(folder: Path) -> tuple[date, date]:
    """Dates around the staged lines, by their files' own statistics."""
    told = [date(2000, 1, 1), date(2100, 1, 1)]
    found: list[date] = []
    for path in folder.glob("*.parquet"):
        metadata = parquet.read_metadata(path)
        column = metadata.schema.names.index(_DATED)
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(column).statistics
            if statistics is not None and statistics.has_min_max:
                found += [statistics.min.date(), statistics.max.date()]
    if found:
        with suppress(OverflowError):
            around = timedelta(days=LOOK_BACK_DAYS)
            told = [min(found) - around, max(found) + around]
    return told[0], told[1]


def _count(rows: DataFrame, taken: Iterable[Delivery]) -> dict[str, dict[str, int]]:
    """path -> fate -> lines; IntegrityBroken where Spark saw other lines than were read."""
    fates: dict[str, dict[str, int]] = {}
    for path, fate, count in rows.groupBy("path", "fate").count().collect():
        fates.setdefault(path, {})[fate] = count
    for d in taken:
        seen = sum(fates.get(d.path, {}).values())
        if seen != d.lines:
            raise IntegrityBroken(
                f"{d.path} has {d.lines} lines and {seen} were judged.", remedy="Run the day again."
            )
    return fates


class _Accounts:
    """Whose bill it is: account numbers of core_merchants, read without Spark once a bill is there."""

    def __init__(self, run: Run) -> None:
        version = run.version("core_merchants")
        names = ("merchant_id", "valid_from", *_ACCOUNT.values())
        found = (
            deltalog.rows(run.settings.lake, "core_merchants", version, names) if version is not None else []
        )
        self._owners: dict[str, dict[str, str]] = {channel: {} for channel in _ACCOUNT}
        self._shared: set[tuple[str, str]] = set()
        # The latest record of a merchant names its account; an account it gave up stays its own in old bills.
        for row in sorted(found, key=lambda r: (r["valid_from"], r["merchant_id"])):
            for channel, column in _ACCOUNT.items():
                if row[column]:
                    self._add(channel, row[column].strip(), row["merchant_id"])

    def _add(self, channel: str, account: str, merchant_id: str) -> None:
        account = account.removesuffix(_PID_ENDING) if channel == ALIPAY else account
        if self._owners[channel].setdefault(account, merchant_id) != merchant_id:
            self._shared.add((channel, account))

    def of(self, channel: str) -> MerchantOf:
        """The merchant of an account as a bill writes it."""

        def merchant(account: str) -> str:
            known = account.removesuffix(_PID_ENDING) if channel == ALIPAY else account
            shown = f"…{account[-4:]}" if len(account) > 4 else "of its own"
            if (channel, known) in self._shared:
                raise BillRefused(
                    f"Two merchants have its account {shown}, so nobody knows whose bill it is.",
                    remedy=f"Mend {_ACCOUNT[channel]} in the merchants deliveries.",
                )
            owner = self._owners[channel].get(known)
            if owner is None:
                raise BillRefused(
                    f"No merchant has its account {shown}.",
                    remedy=f"Deliver the merchant with {_ACCOUNT[channel]} first, then the bill under another name.",
                )
            return owner

        return merchant
