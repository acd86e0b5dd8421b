"""An explained score in words that a merchant reads, in English and Chinese, and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ccare.exports import words as w
from ccare.metrics.definitions import DIMENSIONS, METRIC_BY_ID
from ccare.scoring.explain import Change, Explained

Line = tuple[str, str]
SHOWN_PARTS = 5


@dataclass(frozen=True)
class Said:
    """Lines in English and Chinese: the score, what moved it, what to do, and how it was checked."""

    head: Sequence[Line]
    change: Sequence[Line]
    actions: Sequence[Line]
    checked: Line


def words(found: Explained) -> Said:
    """The explanation in sentences."""
    scored = found.scored
    values = (
        f"{found.values_checked} published values derived again from core rows taken by {scored.day}, benchmarks of "
        f"{scored.benchmarks_of} and policy {scored.policy.version} (run {scored.run.seq}): every one agrees.",
        f"已用 {scored.day} 前入库的原始明细、{scored.benchmarks_of} 基准与策略 {scored.policy.version}"
        f"（第 {scored.run.seq} 次发布）重新推导 {found.values_checked} 个已发布数值，全部一致。",
    )
    return Said(_head(found), _change(found.change), _actions(found), values)


def driver_lines(found: Explained) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the account-health table."""
    columns = [
        "metric",
        "指标",
        "value",
        "of",
        "n",
        "days",
        "shrunk",
        "place",
        "weight",
        "points",
        "target",
        "status",
    ]
    rows = []
    for name, d in found.drivers.items():
        sign = "<=" if d["target_condition"] == "at_most" else ">="
        of = "" if d["denominator"] is None else f"{d['numerator']}/{d['denominator']}"
        rows.append(
            [
                name,
                w.metric_name(name).zh,
                _number(d["value"]),
                of,
                "" if d["n"] is None else str(d["n"]),
                str(d["window_days"]),
                _number(d["shrunk_value"]),
                f"{d['percentile']:.4f}",
                f"{d['weight']:.4f}",
                f"{d['contribution']:.4f}",
                f"{sign} {_number(d['target'])}" if d["target"] is not None else d["target_status"] or "-",
                d["driver_status"],
            ]
        )
    return columns, rows


def as_json(found: Explained) -> dict[str, Any]:
    """The whole explanation; changes are points of the published scores."""
    scored, said = found.scored, words(found)
    parts = {part.metric_id: part for part in found.change.parts} if found.change else {}
    frozen = scored.frozen[0] if scored.frozen else {}
    return {
        "merchant_id": scored.merchant_id,
        "as_of_date": scored.day,
        "agrees": True,
        "values_checked": found.values_checked,
        "run_id": scored.run.run_id,
        "seq": scored.run.seq,
        "policy_version": scored.policy.version,
        "benchmarks": {
            "month": scored.benchmarks_of,
            "frozen_on": frozen.get("frozen_on"),
            "status": scored.scores["benchmark_status"],
        },
        "table_versions": dict(found.source_versions),
        "scores": {
            k: v for k, v in scored.scores.items() if k not in ("merchant_id", "as_of_date", "run_id")
        },
        "drivers": [_driver(name, row, parts.get(name)) for name, row in found.drivers.items()],
        "change": _change_json(found.change),
        "actions": [
            {
                "action": gain.action.id,
                "slot": gain.action.slot,
                "product": gain.action.product.model_dump(),
                "advice": gain.action.advice.model_dump(),
                "metrics": list(gain.metrics),
                "gain": round(gain.points, 4),
            }
            for gain in found.actions
        ],
        "words": {
            "en": [en for en, _ in _all(said)],
            "zh": [zh for _, zh in _all(said)],
        },
    }


def _all(said: Said) -> list[Line]:
    return [*said.head, *said.change, *said.actions, said.checked]


def _driver(name: str, row: dict[str, Any], part: Any) -> dict[str, Any]:
    kept = {k: v for k, v in row.items() if k not in ("merchant_id", "as_of_date", "run_id")}
    return kept | {
        "name": w.metric_name(name)._asdict(),
        "definition": METRIC_BY_ID[name].described,
        "change_of_dimension": None if part is None else _points(part.of_dimension),
        "change_of_total": None if part is None else _points(part.of_total),
    }


def _change_json(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {
        "since": change.since,
        "scores": {name: _points(value) for name, value in change.hundredths.items()},
        "drivers": {
            part.metric_id: {"of_dimension": _points(part.of_dimension), "of_total": _points(part.of_total)}
            for part in change.parts
        },
        "other_policy": change.other_policy,
        "other_benchmarks": change.other_benchmarks,
    }


def _points(hundredths: int | None) -> float | None:
    return None if hundredths is None else hundredths / 100


def _head(found: Explained) -> list[Line]:
    s, day = found.scored.scores, found.scored.day
    status = w.SCORE_STATUS.get(s["score_status"], w.same(s["score_status"]))
    lines = [
        (
            f"{found.scored.merchant_id} on {day}: total {_score(s['total_score'])} of 100, {status.en}.",
            f"{found.scored.merchant_id}，{day}：总分 {_score(s['total_score'])}（满分 100），{status.zh}。",
        )
    ]
    for d in DIMENSIONS:
        name, low, high = w.DIMENSION[d], _score(s[f"{d}_score_low"]), _score(s[f"{d}_score_high"])
        cover = f"{(s[f'{d}_coverage'] or 0) * 100:.0f} %"
        lines.append(
            (
                f"  {name.en} {_score(s[f'{d}_score'])} ({low} to {high} in 8 of 10 cases), data for {cover} of it",
                f"  {name.zh} {_score(s[f'{d}_score'])}（八成把握在 {low} 至 {high}），有数据的权重 {cover}",
            )
        )
    peers = w.BENCHMARK.get(s["benchmark_status"] or "", w.same("-"))
    lines.append(
        (
            f"Compared with {s['peers'] or 0} merchants of {s['peer_group'] or 'nobody'}: {peers.en}.",
            f"对比同行 {s['peer_group'] or '无'}，共 {s['peers'] or 0} 家：{peers.zh}。",
        )
    )
    return lines


def _change(change: Change | None) -> list[Line]:
    if change is None:
        return [("No earlier day is scored to compare with.", "没有更早的评分可供比较。")]
    total = change.hundredths["total"]
    lines = [_changed(change, "total")] if total is not None else []
    if total is None:
        lines += [_changed(change, d) for d in DIMENSIONS if change.hundredths[d] is not None]
    if change.other_policy:
        lines.append(("  That day was scored by another policy.", "  当日采用的评分策略不同。"))
    if change.other_benchmarks:
        lines.append(
            ("  That day was compared with another month's benchmarks.", "  当日对比的是另一个月的基准。")
        )
    return lines or [("No score of that day can be compared.", "当日没有可比较的分数。")]


def _changed(change: Change, name: str) -> Line:
    """One score's change and its drivers, largest first; those beyond the first few are summed."""
    mine = [
        (part.of_total if name == "total" else part.of_dimension, part.metric_id)
        for part in change.parts
        if name in ("total", part.dimension)
    ]
    moved = sorted(((h, m) for h, m in mine if h), key=lambda pair: (-abs(pair[0]), pair[1]))
    shown, rest = moved[:SHOWN_PARTS], moved[SHOWN_PARTS:]
    en = [f"{w.metric_name(m).en} {_signed(h)}" for h, m in shown]
    zh = [f"{w.metric_name(m).zh} {_signed(h)}" for h, m in shown]
    if rest:
        others = _signed(sum(h for h, _ in rest))
        en.append(f"{len(rest)} others {others}")
        zh.append(f"其余 {len(rest)} 项 {others}")
    total, label = change.hundredths[name] or 0, w.DIMENSION[name]
    return (
        f"Since {change.since} {label.en.lower()} moved by {_signed(total)}: {', '.join(en) or 'nothing moved'}.",
        f"自 {change.since} 以来{label.zh}变化 {_signed(total)}：{'，'.join(zh) or '无变化'}。",
    )


def _actions(found: Explained) -> list[Line]:
    if not found.actions:
        return [("Every metric that an action moves is at its target.", "可提升的指标均已达到目标。")]
    has_total = found.scored.scores["total_score"] is not None
    of = w.Words("total", "总分") if has_total else w.Words("the four dimensions' mean", "四维均值")
    lines = []
    for number, gain in enumerate(found.actions, start=1):
        names = [w.metric_name(m) for m in gain.metrics]
        lines.append(
            (
                f"{number}. {gain.action.product.en} ({gain.action.slot}): up to +{gain.points:.1f} of {of.en} by "
                f"reaching the targets of {', '.join(n.en for n in names)}. {gain.action.advice.en}",
                f"{number}. {gain.action.product.zh}（{gain.action.slot}）："
                f"{'、'.join(n.zh for n in names)}达到目标后，{of.zh}最多 +{gain.points:.1f}。{gain.action.advice.zh}",
            )
        )
    return lines


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _signed(hundredths: int) -> str:
    return f"{hundredths / 100:+.2f}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4f}"
