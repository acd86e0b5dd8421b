"""The calibration plot of a backtest as SVG: is what was forecast what came?"""

from pathlib import Path
from typing import Any

from ccare.potential.backtest import Backtest

_SIZE = 320


def write_plot(result: Backtest, path: Path, note: str = "") -> None:
    """Two panels: each merchant's forecast against what came, and users by how often they had come back before."""
    import altair as alt
    import vl_convert

    chart = alt.hconcat(_merchants(alt, result), _users(alt, result)).properties(
        title=alt.TitleParams(
            f"Paid days in the {result.horizon} days after {result.fit_to}, of users known then",
            subtitle=[
                f"{len(result.merchants)} merchants, {sum(m.users for m in result.merchants):,} users",
                note,
            ],
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(vl_convert.vegalite_to_svg(chart.to_dict()), encoding="utf-8")


def _merchants(alt: Any, result: Backtest) -> Any:
    """Logarithmic axes; a merchant without an outcome is not on them, and the title counts those left out."""
    rows = [
        {"forecast": m.forecast, "actual": m.actual}
        for m in result.merchants
        if m.actual > 0 and m.forecast > 0
    ]
    ends = [min(min(r.values()) for r in rows), max(max(r.values()) for r in rows)]
    scale = alt.Scale(type="log", domain=ends)
    points = alt.Chart(alt.Data(values=rows)).mark_circle(opacity=0.5, size=25)
    points = points.encode(
        x=alt.X("forecast:Q", scale=scale, title="forecast paid days"),
        y=alt.Y("actual:Q", scale=scale, title="actual paid days"),
    )
    exact = alt.Chart(alt.Data(values=[{"forecast": v, "actual": v} for v in ends]))
    line = exact.mark_line(color="gray", strokeDash=[4, 4]).encode(x="forecast:Q", y="actual:Q")
    left_out = len(result.merchants) - len(rows)
    title = "Merchants (dashed: exact)" + (f", {left_out} with none left out" if left_out else "")
    return (line + points).properties(width=_SIZE, height=_SIZE, title=title)


def _users(alt: Any, result: Backtest) -> Any:
    order = [name for name, *_ in result.by_frequency]
    rows = [
        {"repeats": name, "days": total / users, "what": what}
        for name, users, forecast, actual in result.by_frequency
        if users
        for what, total in (("forecast", forecast), ("actual", actual))
    ]
    chart = alt.Chart(alt.Data(values=rows)).mark_line(point=True)
    chart = chart.encode(
        x=alt.X("repeats:N", sort=order, title="repeat paid days before", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("days:Q", title="mean paid days after"),
        color=alt.Color("what:N", title=None, scale=alt.Scale(domain=["forecast", "actual"])),
    )
    return chart.properties(width=_SIZE, height=_SIZE, title="Users")
