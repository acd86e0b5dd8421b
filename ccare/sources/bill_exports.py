"""Which export a delivered file is, by its first lines: every other one is refused by name."""

from collections.abc import Callable, Iterable

from ccare.sources.bills import BillRefused, named

EXPORTS = {
    "alipay_bill": "Alipay's 业务明细 (trade detail, bill_type=trade)",
    "alipay_summary": "only the summary (业务汇总) of an Alipay bill",
    "alipay_account": "Alipay's 账务明细 (account log, bill_type=signcustomer)",
    "alipay_consumer": "the transaction export of a consumer's Alipay",
    "wechat_bill": "WeChat Pay's trade bill ALL (所有交易账单)",
    "wechat_success": "WeChat Pay's trade bill SUCCESS (支付账单), which leaves refunds out",
    "wechat_refund": "WeChat Pay's trade bill REFUND (退款账单), which leaves payments out",
    "wechat_fund_flow": "WeChat Pay's fund flow bill (资金账单)",
    "wechat_consumer": "the transaction export of a consumer's WeChat",
}
"""Every export that is known by its first lines; the streams' own names are the ones that are taken."""


def export_of(head: Iterable[str]) -> str | None:
    """Which export a file is, by its title lines and its header; None where it is none that is known."""
    rows = [(line.startswith("#"), [named(cell) for cell in line.split(",")]) for line in head]
    titles = "".join(cells[0] for is_title, cells in rows if is_title)
    headers = [set(cells) for is_title, cells in rows if not is_title]

    def header(*names: str) -> bool:
        return any(cells.issuperset(names) for cells in headers)

    if "业务汇总" in titles or header("交易订单总笔数"):
        return "alipay_summary"
    if header("支付宝交易号", "业务类型"):
        return "alipay_bill"
    if "账务" in titles or header("账务流水号"):
        return "alipay_account"
    if header("资金流水单号"):
        return "wechat_fund_flow"
    if header("微信订单号"):
        return _wechat(header)
    if header("交易对方", "收/支"):
        return "wechat_consumer" if header("当前状态") else "alipay_consumer"
    return None


def _wechat(header: Callable[..., bool]) -> str:
    if header("微信订单号", "退款申请时间"):
        return "wechat_refund"
    return "wechat_bill" if header("微信订单号", "申请退款金额") else "wechat_success"


def require_export(head: list[str], wanted: str) -> None:
    """BillRefused that says what the file is, and which export is wanted, where it is another one."""
    export = export_of(head)
    if export == wanted:
        return
    told = f"It is {EXPORTS[export]}" if export else "It is no export that is known"
    remedy = f"Deliver {EXPORTS[wanted]} to {wanted}."
    if export in ("alipay_bill", "wechat_bill"):
        remedy = f"Deliver it to {export}: {wanted} takes {EXPORTS[wanted]}."
    raise BillRefused(f"{told}.", remedy=remedy)
