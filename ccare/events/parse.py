"""One landing line to one typed row with every reason against it. No Python touches a row."""

from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from ccare.events.masking import MASK, formed_like_personal, private
from ccare.events.pseudonym import NUMBER, OPERATOR, token
from ccare.events.slots import SlotMap
from ccare.tables.streams import EVENT_ID_PATTERN, ID_PATTERN, PARTYLESS, Field, Stream

INSTANT_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$"
DATE_PATTERN = r"^\d{4}-\d{2}-\d{2}$"
FUTURE_MINUTES = 10
LINE_MAX_BYTES = 1 << 20
"""A landing line longer than this is cut, hence malformed, hence rejected: the bound on memory."""
OWN_ID_CHARACTERS = 6
"""A user's own id is looked for in other fields of the row from this length on; a shorter one is in many words."""
_NUMBERS = ("fen", "count", "ms")


def parse(
    lines: DataFrame, stream: Stream, slots: SlotMap, timezone: str, merchants: DataFrame | None
) -> DataFrame:
    """Lines -> the stream's typed columns + reasons.

    ``lines``: value, file_sha256, path, position, delivery_date, taken_on, _inner, _outer; ``merchants``: known
    merchant ids, None where the stream may name any. Returns every line once; ``reasons`` is empty where nothing
    is wrong with it alone, and ``value`` is kept only where something is. A quoted number counts as the number:
    exporters quote them.
    """
    raw = _raw(lines, stream)
    typed = raw.select(
        *(F.col(c) for c in lines.columns if c not in ("_inner", "_outer")),
        F.col("_size"),
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
        if not c.startswith("_raw_") and c not in ("_size", "_told", "value")
    ]
    line = F.when(F.size("reasons") > 0, F.col("value"))
    return typed.select(*kept, line.alias("value"), _content_hash(stream).alias("content_hash"))


def _known_merchants(rows: DataFrame, merchants: DataFrame) -> DataFrame:
    known = merchants.select("merchant_id").distinct().withColumn("_known", F.lit(True))
    joined = rows.join(F.broadcast(known), "merchant_id", "left")
    stranger = (F.size("reasons") == 0) & F.col("_known").isNull()
    unknown = F.concat(F.col("reasons"), F.array(F.lit("unknown_merchant")))
    return joined.withColumn("reasons", F.when(stranger, unknown).otherwise(F.col("reasons"))).drop("_known")


def _field_names(stream: Stream) -> list[str]:
    common = ["origin"]
    if stream.is_event:
        common += ["event_id", "event_type", stream.clock]
    if stream.name not in PARTYLESS:
        common.append("merchant_id")
    if stream.has_user:
        common.append("user_id")
    return list(dict.fromkeys(common + [f.name for f in stream.fields]))


def _raw(lines: DataFrame, stream: Stream) -> DataFrame:
    """Every field as text. The line stands inside brackets: two objects, or text after one, give no single row."""
    names = _field_names(stream)
    row = T.ArrayType(T.StructType([T.StructField(name, T.StringType()) for name in names]))
    value = F.col("value")
    text = F.when(value.startswith("\ufeff"), F.substring(value, 2, LINE_MAX_BYTES)).otherwise(value)
    text = F.when(F.is_valid_utf8(value), text)
    parsed = F.from_json(F.concat(F.lit("["), text, F.lit("]")), row, {"allowSingleQuotes": "false"})
    narrowed = lines.withColumn("_rows", parsed).withColumn("_size", F.size("_rows"))
    return narrowed.withColumn("_row", F.when(F.col("_size") == 1, F.element_at("_rows", 1))).select(
        *lines.columns, "_size", *(F.col(f"_row.`{n}`").alias(f"_raw_{n}") for n in names)
    )


def _cast(field: Field) -> Column:
    raw = F.col(f"_raw_{field.name}")
    if field.kind in _NUMBERS:
        return F.when(raw.rlike(r"^-?\d+$"), raw).try_cast("bigint")
    if field.kind == "date":
        return F.when(raw.rlike(DATE_PATTERN), raw).try_cast("date")
    if field.kind == "flag":
        return F.when(raw.isin("true", "false"), raw).try_cast("boolean")
    return raw


def _kept_text(field: Field, has_user: bool) -> Column:
    """A text as it may be stored. What a row says stays one value for one text, so that rows still join."""
    raw = F.col(f"_raw_{field.name}")
    own = F.lit(False)
    if has_user and field.holds in ("code", "trace"):
        user = F.col("_raw_user_id")
        own = F.coalesce((F.length(user) >= OWN_ID_CHARACTERS) & raw.contains(user), F.lit(False))
    if field.holds == "person":
        return token(raw, OPERATOR)
    if field.holds == "number":
        return F.when(private(raw), token(raw, NUMBER)).otherwise(raw)
    if field.holds == "trace":
        return F.when(private(raw) | own, token(raw, NUMBER)).otherwise(raw)
    if field.holds == "words":
        return F.when(formed_like_personal(raw), F.lit(MASK)).otherwise(raw)
    return F.when(private(raw) | own, F.lit(MASK)).otherwise(raw)


def _typed(stream: Stream, timezone: str) -> list[Column]:
    columns = [
        (_kept_text(f, stream.has_user) if f.kind == "text" and not f.allowed else _cast(f)).alias(f.name)
        for f in stream.fields
    ]
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
            F.when(private(F.col("_raw_event_id")), token(F.col("_raw_event_id"), NUMBER))
            .otherwise(F.col("_raw_event_id"))
            .alias("event_id"),
            F.col("_raw_event_type").alias("event_type"),
            at.alias("occurred_at"),
            F.to_date(F.from_utc_timestamp(at, timezone)).alias("business_date"),
            F.to_utc_timestamp(F.date_add("delivery_date", 1).cast("timestamp"), timezone).alias("_raw_end"),
        ]
    return columns


def _kept_raw(stream: Stream) -> list[Column]:
    return [F.col(f"_raw_{name}") for name in _field_names(stream)]


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
    unreadable = F.when(~F.coalesce(readable, F.lit(False)), F.lit("malformed_json"))
    return [
        unreadable,
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
    if field.kind in (*_NUMBERS, "date", "flag"):
        bad.append(raw.isNotNull() & value.isNull())
    if field.kind in _NUMBERS:
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
        names = ["event_type", "occurred_at", *names]
    if stream.name not in PARTYLESS:
        names.append("merchant_id")
    if stream.has_user:
        names.append("user_key")
    names.append("origin")
    parts = [F.coalesce(F.col(f"`{n}`").cast("string"), F.lit("\u0000")) for n in names]
    return F.sha2(F.concat_ws("\u001f", *parts), 256)
