"""One landing line to one typed row with every reason against it. No Python touches a row."""

from collections.abc import Collection, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.events.masking import any_private, formed_like_personal, private
from ccare.events.pseudonym import NUMBER, OPERATOR, token
from ccare.events.read import ESCAPES, NUMBERS, TEXT, Layout, beginning, field_names, read_csv, read_json
from ccare.events.rules import KNOWN, UNREAD, reasons, unread, whole_pattern
from ccare.events.slots import SlotMap
from ccare.tables.streams import (
    EVENT_ID_PATTERN,
    ID_PATTERN,
    MASK,
    OWN_ID_CHARACTERS,
    PARTYLESS,
    Field,
    Stream,
)

INSTANT_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$"
DATE_PATTERN = r"^\d{4}-\d{2}-\d{2}$"
EVENT_ID_CHARACTERS = 64


def parse(
    lines: DataFrame,
    stream: Stream,
    slots: SlotMap,
    timezone: str,
    merchants: DataFrame | None,
    off: Collection[str] = (),
    layouts: Sequence[Layout] = (),
) -> DataFrame:
    """Lines -> the stream's typed columns + reasons.

    ``lines``: value, file_sha256, position, delivery_date, taken_on, _inner, _outer, perhaps TEXT and ESCAPES, and for
    lines of CSV files _header and _unfinished; ``merchants``: known merchant ids, None where the stream may name any.
    Returns every line once; ``reasons`` is empty where nothing is wrong with it alone, and ``value`` is kept only where
    something is; ``unknown_fields`` names what the stream does not declare. Rules in ``off`` refuse nothing: only the
    gate then stands between them and the table. ``layouts`` as of ``read_json``.
    """
    raw = read_csv(lines, stream) if "_header" in lines.columns else read_json(lines, stream, layouts)
    raw = raw.withColumn("_odd", _odd(stream))
    typed = raw.select(
        *(
            F.col(c)
            for c in lines.columns
            if c not in ("_inner", "_outer", TEXT, ESCAPES, "_header", "_unfinished")
        ),
        "_size",
        "_faults",
        F.col("_unknown").alias("unknown_fields"),
        *_typed(stream, timezone),
        *_kept_raw(stream),
    )
    if stream.is_event and not any(f.name == "slot" for f in stream.fields):
        typed = typed.withColumn("slot", _slot(stream, slots))
    # Joined text, split only where there is any: an array of every rule would be built for every sound row.
    told = typed.withColumn("_told", F.concat_ws(",", *reasons(stream, timezone, off)))
    none = F.array().cast("array<string>")
    told = told.withColumn(UNREAD, unread(stream))
    typed = told.withColumn("reasons", F.when(F.col("_told") == "", none).otherwise(F.split("_told", ",")))
    if merchants is not None:
        typed = _known_merchants(typed, merchants, off)
    kept = [
        F.col(f"`{c}`")
        for c in typed.columns
        if not c.startswith(("_raw_", "_num_")) and c not in ("_size", "_faults", "_told", "value")
    ]
    line = F.when(F.size("reasons") > 0, beginning(F.col("value")))
    return typed.select(*kept, line.alias("value"), _content_hash(stream).alias("content_hash"))


def _known_merchants(rows: DataFrame, merchants: DataFrame, off: Collection[str]) -> DataFrame:
    known = merchants.select("merchant_id").distinct().withColumn(KNOWN, F.lit(True))
    joined = rows.join(F.broadcast(known), "merchant_id", "left")
    if "unknown_merchant" in off:
        return joined
    # Whom an id cannot name, nobody can know: that is the id's own rule. Only strangers' ids are looked at.
    stranger = F.col(KNOWN).isNull() & F.coalesce(
        F.col("merchant_id").rlike(whole_pattern(ID_PATTERN)), F.lit(False)
    )
    unknown = F.concat(F.col("reasons"), F.array(F.lit("unknown_merchant")))
    return joined.withColumn("reasons", F.when(stranger, unknown).otherwise(F.col("reasons")))


def _cast(field: Field) -> Column:
    raw = F.col(f"_raw_{field.name}")
    if field.kind in NUMBERS:
        return F.col(f"_num_{field.name}")
    if field.kind == "date":
        return F.when(raw.rlike(DATE_PATTERN), raw).try_cast("date")
    if field.kind == "instant":
        return _instant(raw)
    if field.kind == "flag":
        return F.when(raw.isin("true", "false"), raw).try_cast("boolean")
    return raw


def _instant(raw: Column) -> Column:
    return F.when(raw.rlike(INSTANT_PATTERN), raw).try_cast("timestamp")


def _plain_texts(stream: Stream) -> list[Field]:
    return [f for f in stream.fields if f.kind == "text" and not f.allowed]


def _odd(stream: Stream) -> Column:
    """Whether any text of the row may be personal: asked once of all of them, then of each where one is."""
    names = [f.name for f in _plain_texts(stream) if f.holds not in ("person", "words")]
    names += ["event_id"] if stream.is_event else []
    return any_private(F.col(f"_raw_{n}") for n in names) if names else F.lit(False)


def _kept_text(field: Field, has_user: bool) -> Column:
    """A text as it may be stored. What a row says stays one value for one text, so that rows still join."""
    raw = F.col(f"_raw_{field.name}")
    odd = F.col("_odd") & private(raw)
    if has_user and field.holds in ("code", "trace"):
        user = F.col("_raw_user_id")
        odd = odd | F.coalesce((F.length(user) >= OWN_ID_CHARACTERS) & raw.contains(user), F.lit(False))
    if field.holds == "person":
        return token(raw, OPERATOR)
    if field.holds == "words":
        return F.when(formed_like_personal(raw), F.lit(MASK)).otherwise(raw)
    hidden = token(raw, NUMBER) if field.holds in ("number", "trace") else F.lit(MASK)
    return F.when(odd, hidden).otherwise(raw)


def _typed(stream: Stream, timezone: str) -> list[Column]:
    texts = _plain_texts(stream)
    columns = [
        (_kept_text(f, stream.has_user) if f in texts else _cast(f)).alias(f.name) for f in stream.fields
    ]
    columns.append(F.coalesce(F.col("_raw_origin"), F.lit("real")).alias("origin"))
    if stream.name not in PARTYLESS:
        columns.append(F.col("_raw_merchant_id").alias("merchant_id"))
    if stream.has_user:
        user = F.when(F.length("_raw_user_id") > 0, F.col("_raw_user_id"))
        columns.append(token(user).alias("user_key"))
    if stream.is_event:
        at = _instant(F.col(f"_raw_{stream.clock}"))
        id_ = F.col("_raw_event_id")
        hidden = F.substring(token(id_, NUMBER), 1, EVENT_ID_CHARACTERS)
        columns += [
            F.when(F.col("_odd") & id_.rlike(EVENT_ID_PATTERN) & private(id_), hidden)
            .otherwise(id_)
            .alias("event_id"),
            F.col("_raw_event_type").alias("event_type"),
            at.alias("occurred_at"),
            F.to_date(F.from_utc_timestamp(at, timezone)).alias("business_date"),
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
