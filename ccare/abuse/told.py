"""What is told to a merchant about evidence: rules, counts and amounts, what is withheld, how to object. No user."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ccare.abuse.policy import AbusePolicy, load_abuse
from ccare.abuse.rules import FAMILIES_TO_WITHHOLD
from ccare.errors import InputMissing
from ccare.growth.snapshot import connect
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

TOLD_DAYS = 31
_FAMILIES = {
    "payer_mix": ("payer mix", "付款人构成"),
    "timing": ("timing", "时间分布"),
    "identity": ("identity", "身份关联"),
    "money_flow": ("money flow", "资金流向"),
    "after_behaviour": ("later behaviour", "后续行为"),
}
_EVIDENCE = """
    select * exclude (merchant_id, run_id) from score_evidence
    where merchant_id = $merchant and effective_date between $first and $last order by effective_date, rule
"""
_WITHHELD = """
    select r.effective_date, r.programme, r.rule, r.asset, r.amount, r.against
    from ledger_refusals r left join ledger_positions p using (business_key)
    where r.merchant_id = $merchant and r.effective_date between $first and $last and coalesce(p.asked, 0) = 0
    qualify rank() over (partition by business_key order by r.decided_on desc) = 1 and r.reason = 'withheld'
    order by r.effective_date, r.programme, r.rule
"""
Line = tuple[str, str]


@dataclass(frozen=True)
class Told:
    """``evidence`` and ``withheld`` rows of the effective dates ``first`` to ``last``; the words are in English and
    Chinese."""

    merchant_id: str
    first: date
    last: date
    evidence: list[dict[str, Any]]
    withheld: list[dict[str, Any]]
    appeal: Line

    def lines(self) -> list[Line]:
        """All of it in words."""
        span = f"{self.first}" if self.first == self.last else f"{self.first} … {self.last}"
        if not self.evidence:
            none = f"{self.merchant_id}: nothing speaks against effective date(s) {span}."
            return [(none, f"{self.merchant_id}：生效日期 {span} 没有任何异常规则命中。")]
        lines = [(f"{self.merchant_id}: effective date(s) {span}.", f"{self.merchant_id}：生效日期 {span}。")]
        for day in sorted({row["effective_date"] for row in self.evidence}):
            lines += self._of_day(day)
        return [*lines, self.appeal]

    def _of_day(self, day: date) -> list[Line]:
        rows = [row for row in self.evidence if row["effective_date"] == day]
        against = [row for row in rows if row["effect"] == "withhold" and row["cleared_on"] is None]
        families = {row["family"] for row in against}
        en, zh = f"{day}: a mark only, nothing is withheld for it.", f"{day}：仅作标记，不影响点数。"
        if len(families) >= FAMILIES_TO_WITHHOLD:
            en = f"{day}: {len(families)} families of evidence; points still pending are withheld."
            zh = f"{day}：{len(families)} 类证据同时成立，未成熟点数暂不发放。"
        lines = [(en, zh), *(_rule(row) for row in rows)]
        for row in self.withheld:
            if row["effective_date"] == day:
                what = f"{row['programme']} {row['rule']}: {row['amount']} {row['asset']}"
                lines.append(
                    (f"  withheld: {what} ({row['against']})", f"  未发放：{what}（{row['against']}）")
                )
        return lines


def evidence_told(settings: Settings, row: Published, merchant_id: str, day: date | None) -> Told:
    """What is published about a merchant's effective date ``day``, or about the last TOLD_DAYS without one.

    InputMissing for a merchant that nobody has delivered, and for a day that is not closed.
    """
    last = day or row.business_date
    if last > row.business_date:
        raise InputMissing(f"{last} is not closed; the last day is {row.business_date}.")
    first = day or last - timedelta(days=TOLD_DAYS - 1)
    policy = load_abuse(settings.conf)
    con = connect(settings.lake, row)
    known = con.execute(
        "select 1 from core_merchants where merchant_id = $1 limit 1", [merchant_id]
    ).fetchone()
    if known is None:
        raise InputMissing(
            f"There is no merchant {merchant_id}.", remedy="Its record has not been delivered."
        )
    span = {"merchant": merchant_id, "first": first, "last": last}
    found, withheld = (con.execute(sql, span).to_arrow_table().to_pylist() for sql in (_EVIDENCE, _WITHHELD))
    for each in found:
        each["text_en"], each["text_zh"] = _words(policy, each)
    appeal = policy.appeal
    return Told(merchant_id, first, last, found, withheld, (appeal.en, appeal.zh) if appeal else ("", ""))


def _words(policy: AbusePolicy, row: dict[str, Any]) -> Line:
    rule = policy.told(row["rule"], row["policy_version"])
    return (rule.text_en, rule.text_zh) if rule else (row["rule"], row["rule"])


def _rule(row: dict[str, Any]) -> Line:
    en, zh = _FAMILIES[row["family"]]
    sign = ">=" if row["test"] == "at_least" else "<="
    figures = f"{row['value']:g} {sign} {row['threshold']:g}; n = {row['counted']}, {row['amount_fen']} fen"
    cleared = (
        (f"; cleared on {row['cleared_on']}", f"；{row['cleared_on']} 已解除")
        if row["cleared_on"]
        else ("", "")
    )
    flag = ("; a mark only", "；仅标记") if row["effect"] == "flag" else ("", "")
    return (
        f"  {row['rule']} ({en}, {row['window_days']} days): {row['text_en']} {figures}{flag[0]}{cleared[0]}",
        f"  {row['rule']}（{zh}，{row['window_days']} 天）：{row['text_zh']}{figures}{flag[1]}{cleared[1]}",
    )
