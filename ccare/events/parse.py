"""One landing line to one typed row with every reason against it. No Python touches a row."""

from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.events.pseudonym import token
from ccare.events.read import NUMBERS, field_names, read_csv, read_json
from ccare.events.slots import SlotMap
from ccare.tables.streams import EVENT_ID_PATTERN, ID_PATTERN, PARTYLESS, Field, Stream

INSTANT_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$"
DATE_PATTERN = r"^\d{4}-\d{2}-\d{2}$"
FUTURE_MINUTES = 10


def parse(
    lines: DataFrame, stream: Stream, slots: SlotMap, timezone: str, merchants: DataFrame | None
) -> DataFrame:
    """Lines -> the stream's typed columns + reasons.

    ``lines``: value, file_sha256, position, delivery_date, taken_on, _inner, _outer, and for lines of CSV files
    _header; ``merchants``: known merchant ids, None where the stream may name any. Returns every line once;
    ``reasons`` is empty where nothing is wrong with it alone, and ``value`` is kept only where something is;
    ``unknown_fields`` names what the stream does not declare.
    """
    csv = "_header" in lines.columns
    raw = read_csv(lines, stream) if csv else read_json(lines, stream)
    typed = raw.select(
        *(F.col(c) for c in lines.columns if c not in ("_inner", "_outer", "_header")),
        "_size",
        "_faults",
        F.col("_unknown").alias("unknown_fields"),
        *_typed(stream, timezone),
        *_kept_raw(stream),
    )
    if stream.is_event and not any(f.name == "slot" for f in stream.fields):
        typed = typed.withColumn("slot", _slot(stream, slots))
    # Joined text, split only where there is any: an array of every rule would be built for every sound row.
    told = typed.withColumn("_told", F.concat_ws(",", *_reasons(stream)))
    none = F.array().cast("array<string>")
    typed = told.withColumn("reasons", F.when(F.col("_told") == "", none).otherwise(F.split("_told", ",")))
    if merchants is not None:
        typed = _known_merchants(typed, merchants)
    kept = [
        F.col(f"`{c}`")
        for c in typed.columns
        if not c.startswith("_raw_") and c not in ("_size", "_faults", "_told", "value")
    ]
    line = F.when(F.size("reasons") > 0, F.col("value"))
    return typed.select(*kept, line.alias("value"), _content_hash(stream).alias("content_hash"))


def _known_merchants(rows: DataFrame, merchants: DataFrame) -> DataFrame:
    known = merchants.select("merchant_id").distinct().withColumn("_known", F.lit(True))
    joined = rows.join(F.broadcast(known), "merchant_id", "left")
    stranger = (F.size("reasons") == 0) & F.col("_known").isNull()
    unknown = F.concat(F.col("reasons"), F.array(F.lit("unknown_merchant")))
    return joined.withColumn("reasons", F.when(stranger, unknown).otherwise(F.col("reasons"))).drop("_known")


def _cast(field: Field) -> Column:
    raw = F.col(f"_raw_{field.name}")
    if field.kind in NUMBERS:
        return F.col(f"_num_{field.name}")
    if field.kind == "date":
        return F.when(raw.rlike(DATE_PATTERN), raw).try_cast("date")
    if field.kind == "flag":
        return F.when(raw.isin("true", "false"), raw).try_cast("boolean")
    return raw


def _typed(stream: Stream, timezone: str) -> list[Column]:
    columns = [_cast(f).alias(f.name) for f in stream.fields]
    columns.append(F.coalesce(F.col("_raw_origin"), F.lit("real")).alias("origin"))
    if stream.name not in PARTYLESS:
        columns.append(F.col("_raw_merchant_id").alias("merchant_id"))
    if stream.has_user:
        user = F.when(F.length("_raw_user_id") > 0, F.col("_raw_user_id"))
        columns.append(token(user).alias("user_key"))
    if stream.is_event:
        clock = F.col(f"_raw_{stream.clock}")
        at = F.when(clock.rlike(INSTANT_PATTERN), clock).try_cast("timestamp")
        columns += [
            F.col("_raw_event_id").alias("event_id"),
            F.col("_raw_event_type").alias("event_type"),
            at.alias("occurred_at"),
            F.to_date(F.from_utc_timestamp(at, timezone)).alias("business_date"),
            F.to_utc_timestamp(F.date_add("delivery_date", 1).cast("timestamp"), timezone).alias("_raw_end"),
        ]
    return columns


def _kept_raw(stream: Stream) -> list[Column]:
    return [F.col(f"_raw_{name}") for name in field_names(stream)]


def _slot(stream: Stream, slots: SlotMap) -> Column:
    names = {f.name for f in stream.fields}
    slot = F.lit(None).cast("string")
    if "scene" in names:
        slot = F.coalesce(slot, _lookup(slots.scenes, F.col("scene")))
    if "promo_position" in names:
        slot = F.coalesce(_lookup(slots.positions, F.col("promo_position")), slot)
    return F.coalesce(slot, F.lit("unknown"))


def _lookup(mapping: dict[str, str], key: Column) -> Column:
    pairs = [F.lit(part) for pair in sorted(mapping.items()) for part in pair]
    return F.when(key.isin(*mapping), F.create_map(*pairs)[key])


def _reasons(stream: Stream) -> list[Column]:
    """A column for each rule: its name where the row breaks it, else null. Unreadable lines have one reason."""
    readable = F.col("_size") == 1
    checks: list[tuple[str, Column]] = []
    for field in stream.fields:
        checks += _field_checks(field)
    checks.append(("bad_origin", ~F.col("origin").isin("real", "simulated")))
    if stream.name not in PARTYLESS:
        checks += _id_checks("merchant_id", ID_PATTERN)
    if stream.has_user and not stream.is_event:
        checks.append(("missing_user_id", F.col("user_key").isNull()))
    if stream.is_event:
        checks += _id_checks("event_id", EVENT_ID_PATTERN)
        checks += _event_checks(stream)
    return [
        F.when(F.col("_faults") != "", F.col("_faults")),
        *(F.when(readable & F.coalesce(broken, F.lit(False)), F.lit(name)) for name, broken in checks),
    ]


def _id_checks(name: str, pattern: str) -> list[tuple[str, Column]]:
    raw = F.col(f"_raw_{name}")
    return [(f"missing_{name}", raw.isNull()), (f"bad_{name}", ~raw.rlike(pattern))]


def _event_checks(stream: Stream) -> list[tuple[str, Column]]:
    raw = F.col(f"_raw_{stream.clock}")
    kind = F.col("_raw_event_type")
    limit = F.col("_raw_end") + F.expr(f"interval {FUTURE_MINUTES} minutes")
    return [
        ("missing_event_type", kind.isNull()),
        ("unknown_event_type", ~kind.isin(*stream.event_types)),
        (f"missing_{stream.clock}", raw.isNull()),
        (f"bad_{stream.clock}", raw.isNotNull() & F.col("occurred_at").isNull()),
        ("occurred_in_future", F.col("occurred_at") > limit),
    ]


def _field_checks(field: Field) -> list[tuple[str, Column]]:
    raw, value = F.col(f"_raw_{field.name}"), F.col(field.name)
    checks: list[tuple[str, Column]] = []
    if field.required:
        absent = raw.isNull()
        if field.only_for:
            absent = absent & F.col("_raw_event_type").isin(*field.only_for)
        checks.append((f"missing_{field.name}", absent))
    bad: list[Column] = []
    if field.kind in (*NUMBERS, "date", "flag"):
        bad.append(raw.isNotNull() & value.isNull())
    if field.kind in NUMBERS:
        bad.append(value < 0)
    if field.kind == "id":
        bad.append(~raw.rlike(ID_PATTERN))
    if field.allowed:
        bad.append(~raw.isin(*field.allowed))
    if bad:
        checks.append((f"bad_{field.name}", reduce(or_, (F.coalesce(b, F.lit(False)) for b in bad))))
    return checks


def _content_hash(stream: Stream) -> Column:
    """SHA-256 over what the event says, in field order; where it came from is left out."""
    names = [f.name for f in stream.fields]
    if stream.is_event:
        names = ["event_type", *names]
    if stream.name not in PARTYLESS:
        names.append("merchant_id")
    if stream.has_user:
        names.append("user_key")
    names.append("origin")
    parts = [F.coalesce(F.col(f"`{n}`").cast("string"), F.lit("\u0000")) for n in names]
    if stream.is_event:
        # As a number: writing an instant out as a date costs more than hashing it.
        parts.append(F.coalesce(F.unix_micros("occurred_at").cast("string"), F.lit("\u0000")))
    return F.sha2(F.concat_ws("\u001f", *parts), 256)
