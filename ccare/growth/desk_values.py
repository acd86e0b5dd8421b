"""Words for the ids that the desk's rows hold: stages, slots, assets, reasons and the like, in both languages."""

from collections.abc import Callable, Mapping
from typing import Any

from ccare.exports.words import LANGUAGES, PROGRAMME, SLOT, Words, metric_name, same
from ccare.growth.desk_words import COLUMN, TEXT, in_language

STAGE = {
    "reached": Words("reached", "已触达"),
    "visited": Words("visited", "到访未付款"),
    "paid": Words("paid once", "首次付款"),
    "repeat": Words("repeat", "复购"),
    "loyal": Words("loyal", "忠诚"),
    "at_risk": Words("at risk", "流失预警"),
    "dormant": Words("dormant", "沉睡"),
}
STEP = {
    "impression": Words("impression", "曝光"),
    "click": Words("click", "点击"),
    "active": Words("active", "活跃"),
    "order": Words("order", "下单"),
    "pay": Words("pay", "支付"),
}
SOURCE = {
    "free": Words("free", "免费"),
    "points": Words("points", "点数"),
    "paid": Words("paid", "付费"),
}
MOMENT = {"before": Words("a week before", "一周前"), "now": Words("last day", "最近一日")}
ASSET = {
    "POINT": Words("points", "点数"),
    "IMPRESSION": Words("impressions", "曝光"),
    "FEN": Words("money", "金额"),
}
_OTHER_SLOT = {
    "offline_scan": Words("Offline scan", "线下扫码"),
    "private": Words("Merchant's own places", "私域"),
    "unknown": Words("Unknown slot", "未知位置"),
    "all": Words("All slots", "全部流量位"),
}
"""What is told beside the slots of public traffic."""
GROWTH_KIND = {name: COLUMN[name] for name in ("retained", "resurrected", "new", "churned")}
LOT_PART = {name: COLUMN[name] for name in ("outstanding", "redeemed", "expired", "taken")}
_POOL_PART = {"rebate": Words("rebates", "返利"), "traffic": Words("traffic", "流量")}
_REASON_ZH = {
    "malformed_json": "不是完整的 JSON 对象",
    "malformed_csv": "单元格数与表头不符",
    "invalid_utf8": "不是 UTF-8 文本",
    "line_too_long": "行过长",
    "unterminated_line": "末行未以换行结束，可能被截断",
    "record_conflict": "同一送达日期的同一条记录内容不同",
    "duplicate_keys": "字段重复",
    "nul_character": "含空字符",
    "unknown_merchant": "商家未登记",
    "unknown_event_type": "事件类型未知",
    "occurred_in_future": "发生时间晚于送达",
    "event_id_conflict": "事件编号重复且内容不同",
    "duplicate_trade": "同一交易重复支付",
    "forgotten_user": "用户数据已应要求删除",
    "bill_line_conflict": "账单行重复且内容不同",
}
"""Reasons that are not about one field alone; the others are missing_<field> and bad_<field>."""


def reason(name: str) -> Words:
    """Why rows are refused; a field keeps the name that it has in deliveries."""
    told = name.replace("_", " ")
    start, _, field = name.partition("_")
    if start in ("missing", "bad") and field:
        return Words(told, f"缺少 {field}" if start == "missing" else f"{field} 无效")
    return Words(told, _REASON_ZH.get(name, told))


def pool(name: str) -> Words:
    """A pool by its programme, and by its own part where it has one: chengfeng:rebate."""
    programme, _, part = name.partition(":")
    of = PROGRAMME.get(programme, same(programme))
    if not part:
        return of
    what = _POOL_PART.get(part, same(part))
    return Words(f"{of.en}, {what.en}", f"{of.zh}·{what.zh}")


def band(place: int) -> Words:
    """Total scores in bands of ten, from 0 on."""
    return same(f"{10 * place}–{10 * place + 10}")


def _among(known: Mapping[str, Words]) -> Callable[[str], Words]:
    return lambda name: known.get(name, same(name.replace("_", " ")))


VALUE: dict[str, Callable[..., Words]] = {
    "asset": _among(ASSET),
    "driver": metric_name,
    "moment": _among(MOMENT),
    "place": band,
    "pool": pool,
    "programme": _among(PROGRAMME),
    "reason": reason,
    "slot": _among(SLOT | _OTHER_SLOT),
    "source": _among(SOURCE),
    "stage": _among(STAGE),
    "step": _among(STEP),
}
"""Column -> what its ids are called. Other columns hold numbers, days, or names that are data."""


def page_words(frames: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each language: texts, names of columns, and names of the values that ``frames`` hold."""
    values: dict[str, dict[str, Words]] = {column: {} for column in VALUE}
    for frame in frames.values():
        for at, column in enumerate(frame["columns"]):
            if column in VALUE:
                ids = sorted({row[at] for row in frame["rows"]} - {None})
                values[column] |= {name: VALUE[column](name) for name in ids}
    told = {"text": TEXT, "columns": COLUMN, "values": values}
    return {language: in_language(told, language) for language in LANGUAGES}
