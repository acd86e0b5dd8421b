"""Settlement bills as the platforms write them, from plain rows: published column lists, invented content."""

import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

_ALIPAY = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,"
    "券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
_WECHAT = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
    "货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,"
    "商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
ALIPAY_HEADER = tuple(_ALIPAY.split(","))
WECHAT_HEADER = tuple(_WECHAT.split(","))
WECHAT_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
ACCOUNT = "20880001234567890156"
MCH_ID = "1900000001"
PAYER = "*津水(602***@qq.com)"
OPENID = "oT2kauIMXH398DZBeJ4m22CuSDQ0"
Row = Mapping[str, Any]


def yuan(fen: int) -> str:
    """Fen as a bill writes them."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def alipay_row(**told: Any) -> dict[str, str]:
    """A detail row from amounts in fen: trade_no, at, amount, and receipt, discount, platform, fee, refund_no."""
    amount, discount = told["amount"], told.get("discount", 0)
    refund_no = told.get("refund_no", "")
    sign = -1 if refund_no else 1
    return {
        "支付宝交易号": told["trade_no"],
        "商户订单号": told.get("order_no", f"o-{told['trade_no']}"),
        "业务类型": "退款" if refund_no else "交易",
        "商品名称": told.get("name", "咖啡"),
        "创建时间": "2026-03-01 08:00:00",
        "完成时间": told.get("at", "2026-03-01 08:00:05"),
        "操作员": told.get("operator", ""),
        "对方账户": PAYER,
        "订单金额（元）": yuan(sign * amount),
        "商家实收（元）": yuan(sign * told.get("receipt", amount - discount)),
        "支付宝优惠（元）": yuan(sign * told.get("platform", 0)),
        "商家优惠（元）": yuan(sign * discount),
        "退款批次号/请求号": refund_no,
        "服务费（元）": yuan(-sign * told.get("fee", 0)),
    }


def alipay_text(rows: Sequence[Row], *, account: str = ACCOUNT, header: Sequence[str] = ALIPAY_HEADER) -> str:
    """A 业务明细 csv with the footer that its rows add up to."""
    lines = [
        "#支付宝业务明细查询",
        f"#账号：[{account}]",
        "#起始日期：[2026年03月01日 00:00:00]   终止日期：[2026年03月02日 00:00:00]",
        "#-----------------------------------------业务明细列表----------------------------------------",
        ",".join(header),
        *(
            ",".join(_quoted(str(row.get(name, "0.00" if "（元）" in name else ""))) for name in header)
            for row in rows
        ),
        "#-----------------------------------------业务明细列表结束------------------------------------",
    ]
    for kind, word in (("交易", ""), ("退款", "退款")):
        own = [row for row in rows if row["业务类型"] == kind]
        receipt, discount = (_sum(own, name) for name in ("商家实收（元）", "商家优惠（元）"))
        lines.append(
            f"#{kind}合计：{len(own)}笔，商家实收{word}共{yuan(receipt)}元，商家优惠{word}共{yuan(discount)}元"
        )
    return "\r\n".join([*lines, "#导出时间：[2026年03月02日 09:30:00]", ""])


def alipay_summary(rows: Sequence[Row], *, account: str = ACCOUNT) -> str:
    """The summary file that comes beside the detail."""
    paid = sum(row["业务类型"] == "交易" for row in rows)
    amount, receipt = (yuan(_sum(rows, name)) for name in ("订单金额（元）", "商家实收（元）"))
    told = f"{paid}\t,{len(rows) - paid}\t,{amount},{receipt}"
    return "\r\n".join(
        [
            "#支付宝业务汇总查询",
            f"#账号：[{account}]",
            "#起始日期：[2026年03月01日 00:00:00]   终止日期：[2026年03月02日 00:00:00]",
            "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）",
            f"001\t,一号店\t,{told}",
            f"合计\t,\t,{told}",
            "#-----业务汇总列表结束-----",
            "",
        ]
    )


def alipay_zip(
    path: Path, rows: Sequence[Row], *, detail: str | None = None, summary: str | None = None
) -> None:
    """Detail and summary in one archive, member names in GBK without the UTF-8 flag."""
    members = {
        f"{ACCOUNT}_20260301_业务明细.csv": detail if detail is not None else alipay_text(rows),
        f"{ACCOUNT}_20260301_业务明细(汇总).csv": summary if summary is not None else alipay_summary(rows),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            info = zipfile.ZipInfo(name.encode("gbk").decode("cp437"), (2026, 3, 2, 9, 30, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(_GbkName.of(info), text.encode("gb18030"))


class _GbkName(zipfile.ZipInfo):
    """A member whose name is written as the bytes of code page 437 that it was read from."""

    @classmethod
    def of(cls, info: zipfile.ZipInfo) -> "_GbkName":
        """The same member."""
        made = cls(info.filename, info.date_time)
        made.compress_type = info.compress_type
        return made

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp437"), self.flag_bits & ~0x800


def wechat_row(**told: Any) -> dict[str, str]:
    """A detail row from amounts in fen: trade_no, at, amount, and settled, coupon, fee (text), refund_no, status."""
    refund_no, amount = told.get("refund_no", ""), told["amount"]
    settled, coupon = told.get("settled", amount), told.get("coupon", 0)
    row = {
        "交易时间": told.get("at", "2026-03-01 08:00:05"),
        "公众账号ID": "wx1234567890abcdef",
        "商户号": told.get("mch_id", MCH_ID),
        "特约商户号": told.get("partner", "0"),
        "微信订单号": told["trade_no"],
        "商户订单号": told.get("order_no", f"o-{told['trade_no']}"),
        "用户标识": OPENID,
        "交易类型": "JSAPI",
        "交易状态": told.get("status", "REFUND" if refund_no else "SUCCESS"),
        "货币种类": told.get("currency", "CNY"),
        "微信退款单号": refund_no or "0",
        "商户退款单号": f"o-{refund_no}" if refund_no else "0",
        "退款状态": told.get("refund_status", "PROCESSING" if refund_no else ""),
        "商品名称": told.get("name", "咖啡"),
        "手续费": told.get("fee", "0.00000"),
        "费率": "0.60%",
    }
    zero = dict.fromkeys(
        ("应结订单金额", "代金券金额", "退款金额", "充值券退款金额", "订单金额", "申请退款金额"), "0.00"
    )
    if refund_no:
        own = {"退款金额": yuan(settled), "充值券退款金额": yuan(coupon), "申请退款金额": yuan(amount)}
    else:
        own = {"应结订单金额": yuan(settled), "代金券金额": yuan(coupon), "订单金额": yuan(amount)}
    return {**row, **zero, **own}


def wechat_text(rows: Sequence[Row], *, header: Sequence[str] = WECHAT_HEADER, end: str = "\r\n") -> str:
    """An ALL bill with the summary that its rows add up to."""
    names = ("应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额")
    sums = [_sum(rows, name, 5 if name == "手续费" else 2) for name in names]
    told = [
        str(len(rows)),
        *(yuan(s) if n != "手续费" else _fee(s) for n, s in zip(names, sums, strict=True)),
    ]
    lines = [",".join(header), *(",".join(f"`{row.get(name, '')}" for name in header) for row in rows)]
    return end.join([*lines, WECHAT_TOTALS, ",".join(f"`{t}" for t in told), ""])


def _fee(units: int) -> str:
    return f"{'-' if units < 0 else ''}{abs(units) // 100_000}.{abs(units) % 100_000:05d}"


def _sum(rows: Sequence[Row], name: str, decimals: int = 2) -> int:
    total = 0
    for row in rows:
        whole, _, part = str(row.get(name, "0")).lstrip("-").partition(".")
        value = int(whole) * 10**decimals + int(part.ljust(decimals, "0") or 0)
        total += -value if str(row.get(name, "0")).startswith("-") else value
    return total


def _quoted(cell: str) -> str:
    """Cells end in a tab; one with a comma or a quote is quoted."""
    if "," in cell or '"' in cell:
        return '"' + cell.replace('"', '""') + '\t"'
    return f"{cell}\t"


def at(text: str) -> datetime:
    """A time on the bill's clock."""
    return datetime.fromisoformat(f"{text}+08:00")
