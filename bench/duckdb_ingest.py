"""What a user would write in DuckDB instead of ``ccare ingest``: ``python -m bench.duckdb_ingest FILE MODE OUT``."""

import sys
from pathlib import Path

import duckdb

# One line in a thousand cannot be read, one in a thousand is there twice, one in a thousand has a bad amount.
GENERATE = """
select case when i % 1000 = 17 then '{{"event_id":"e-' || i || '","event_type":"paid",' else
 '{{"event_id":"e-' || case when i % 1000 = 501 then i - 1 else i end || '","event_type":"'
 || case when i % 20 = 19 then 'refunded' else 'paid' end
 || '","occurred_at":"' || strftime(timestamp '2026-02-28 16:00:00'
 + to_seconds((hash(case when i % 1000 = 501 then i - 1 else i end) % 86400)::bigint), '%Y-%m-%dT%H:%M:%SZ')
 || '","merchant_id":"m' || (j + 7) % 5000 || '","origin":"simulated","user_id":"2088'
 || lpad(((j * 7919) % 900000)::varchar, 12, '0') || '","trade_no":"20260301'
 || lpad(case when i % 20 = 19 then i - 1 else j end::varchar, 20, '0') || '"'
 || case when i % 20 = 19 then ',"refund_no":"r' || i || '"' else '' end
 || ',"amount_fen":' || case when i % 1000 = 333 then '-5' else ((j * 31) % 50000)::varchar end
 || ',"merchant_discount_fen":' || j % 300 || ',"platform_discount_fen":0,"fee_fen":' || j % 100
 || ',"store_id":"s' || j % 900 || '","scene":"' || 1000 + j % 6 || '"}}' end
from (select i, case when i % 1000 = 501 then i - 1 else i end as j from range({lines}) t(i))
"""
MERCHANTS = """
select '{{"merchant_id":"m' || i || '","name":"Merchant ' || i || '","industry":"retail","own_brand":false,'
 || '"joined_on":"2025-01-01","valid_from":"2025-01-01","origin":"simulated"}}' from range(5000) t(i)
"""
_FIELDS = """event_id event_type occurred_at merchant_id origin user_id trade_no refund_no amount_fen
merchant_discount_fen platform_discount_fen fee_fen store_id terminal_id operator_id scene promo_position
voucher_code""".split()
_NUMBERS = ("amount_fen", "merchant_discount_fen", "platform_discount_fen", "fee_fen")
_COLUMNS = ", ".join(f"{f}: '{'BIGINT' if f in _NUMBERS else 'VARCHAR'}'" for f in _FIELDS)
_TOKEN = "'k1_' || sha256(_outer || unhex(sha256(_inner || encode(user_id))))"
_LINES = f"""
create temp table parsed as
with lines as (
  select line, row_number() over () as position from read_csv($file, columns = {{'line': 'VARCHAR'}}, delim = '\x01',
    quote = '', escape = '', header = false, auto_detect = false, max_line_size = 1048576)
), keyed as (
  select line, position, json_valid(line) as readable,
    case when json_valid(line) then json_keys(line) end as keys,
    case when json_valid(line) then json_extract_string(line, [{", ".join(f"'$.{f}'" for f in _FIELDS)}]) end as v
  from lines
), typed as (
  select position, line, readable, len(keys) <> len(list_distinct(keys)) as twice,
    {", ".join(f"v[{n}] as {'raw_' if f in _NUMBERS else ''}{f}" for n, f in enumerate(_FIELDS, 1))},
    {", ".join(f"try_cast(v[{n}] as bigint) as {f}" for n, f in enumerate(_FIELDS, 1) if f in _NUMBERS)},
    try_cast(v[3] as timestamptz) as moment
  from keyed
), judged as (
  select t.*, m.merchant_id is null as stranger, {_TOKEN} as user_key,
    concat_ws(',', case when not readable then 'malformed_json' end, case when twice then 'duplicate_keys' end,
      case when event_id is null then 'missing_event_id'
           when not regexp_full_match(event_id, '[A-Za-z0-9_.:-]{{1,64}}') then 'bad_event_id' end,
      case when event_type is null then 'missing_event_type'
           when event_type not in ('paid', 'refunded') then 'unknown_event_type' end,
      case when occurred_at is null then 'missing_occurred_at' when moment is null then 'bad_occurred_at'
           when moment > timestamptz '2026-03-03 00:10:00+08' then 'occurred_in_future' end,
      case when t.merchant_id is null then 'missing_merchant_id'
           when not regexp_full_match(t.merchant_id, '[A-Za-z0-9_-]{{1,64}}') then 'bad_merchant_id'
           when m.merchant_id is null then 'unknown_merchant' end,
      case when trade_no is null then 'missing_trade_no' end,
      case when event_type = 'refunded' and refund_no is null then 'missing_refund_no' end,
      case when raw_amount_fen is null then 'missing_amount_fen' end,
      {", ".join(f"case when raw_{f} is not null and ({f} is null or {f} < 0) then 'bad_{f}' end" for f in _NUMBERS)},
      case when origin not in ('real', 'simulated') then 'bad_origin' end) as reasons
  from typed t cross join pads left join merchants m on m.merchant_id = t.merchant_id
)
select * exclude (readable, twice, stranger, user_id, occurred_at, line, {", ".join("raw_" + f for f in _NUMBERS)}),
  case when reasons <> '' then line end as line, (moment at time zone 'Asia/Shanghai')::date as business_date,
  sha256(concat_ws(chr(31), event_type, epoch_us(moment), trade_no, refund_no, amount_fen, merchant_discount_fen,
    platform_discount_fen, fee_fen, store_id, terminal_id, operator_id, scene, promo_position, voucher_code,
    merchant_id, user_key, origin)) as content_hash
from judged
"""
_CLASH = """
create temp table lost as
with ids as (select event_id from parsed where reasons = '' group by 1 having count(*) > 1),
trades as (select merchant_id, trade_no from parsed where reasons = '' and event_type = 'paid'
           group by all having count(*) > 1),
ranked as (
  select position, content_hash, row_number() over same_id as place, first(content_hash) over same_id as kept,
    row_number() over (partition by merchant_id, trade_no, event_type order by content_hash, position) as nth
  from parsed where reasons = ''
    and (event_id in (from ids) or (event_type = 'paid' and (merchant_id, trade_no) in (from trades)))
  window same_id as (partition by event_id order by content_hash, position)
)
select position from ranked where place > 1 or nth > 1
"""
_NATIVE = f"""
copy (
  with t as (
    select * exclude (user_id), {_TOKEN} as user_key from read_json($file, format = 'newline_delimited',
      ignore_errors = true, columns = {{{_COLUMNS}}})
    cross join pads
  )
  select distinct on (event_id) * from t
  where regexp_full_match(event_id, '[A-Za-z0-9_.:-]{{1,64}}') and event_type in ('paid', 'refunded')
    and try_cast(occurred_at as timestamptz) <= timestamptz '2026-03-03 00:10:00+08'
    and merchant_id in (from merchants) and trade_no is not null and amount_fen >= 0
    and origin in ('real', 'simulated')
) to '$out/core.parquet' (format parquet, compression zstd, compression_level 1)
"""


def main() -> None:
    """Run one mode; prints the rows that it took."""
    file, mode, out = sys.argv[1:]
    Path(out).mkdir()
    con = duckdb.connect()
    con.execute("set preserve_insertion_order = false")
    key = b"k" * 40
    pads = [bytes(b ^ pad for b in key.ljust(64, b"\0")) for pad in (0x36, 0x5C)]
    con.execute("create table pads as select ?::blob as _inner, ?::blob as _outer", pads)
    con.execute("create table merchants as select 'm' || i as merchant_id from range(5000) t(i)")
    if mode == "lines":
        con.execute(_LINES, {"file": file})
        con.execute(_CLASH)
        zstd = "(format parquet, compression zstd, compression_level 1)"
        kept = "reasons = '' and position not in (from lost)"
        con.execute(
            f"copy (select * exclude (reasons, line) from parsed where {kept}) to '{out}/core.parquet' {zstd}"
        )
        told = "select position, reasons, line from parsed where reasons <> ''"
        con.execute(f"copy ({told}) to '{out}/rejected.parquet' {zstd}")
    else:
        con.execute(_NATIVE.replace("$out", out), {"file": file})
    taken = con.execute(f"select count(*) from '{out}/core.parquet'").fetchone()
    print(f"{taken[0] if taken else 0:,} rows taken")


if __name__ == "__main__":
    main()
