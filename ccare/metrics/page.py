"""The reference page of metrics, written from the declarations: ``python -m ccare.metrics.page`` prints it."""

from ccare.metrics.definitions import DIMENSIONS, ESTIMATES, METRICS, Metric
from ccare.tables import metric, state

_HEAD = """# Metrics

Written by `python -m ccare.metrics.page` from `ccare/metrics`; a test keeps the two equal. The public sources of the
C-CARE model name its dimensions and no formula: these definitions are this project's own.

Windows trail and include the as-of day d, in the lake's business time zone: W28 = [d-27, d], P28 = [d-55, d-28]. A row
of day d is told from rows taken and dated by d, so a late event gives what an event in time would have given, from the
close that takes it. There is one row for every merchant that is valid on d or had any event by then.

- A **day is active** for a user with a launch, page_view (of a second or more, where its length is told), item_view,
  order_submit, message_click, share, collect, subscribe, member_join, paid, voucher received or used, follow, view,
  like, comment, live_enter, voucher_click or mini_program_click. Being shown something, a refund, a message delivered
  and leaving are not.
- **Staff leave every figure of users**, for old days too, from the close that takes their pair. A user who is not known
  counts in amounts, trades, voucher codes and impressions, never in users.
- **Counts are exact**, and 0 without rows. A ratio (`<id>` = `<id>_num` / `<id>_den`) is null where its denominator
  is 0.
- **An estimate** (`<id>`) has a 90 % interval, `<id>_low` to `<id>_high`, and stands beside the sums it is made of.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for dimension in DIMENSIONS:
        parts.append(f"\n## {dimension.capitalize()}\n")
        parts += [_entry(m) for m in (*METRICS, *ESTIMATES) if m.dimension == dimension]
    parts.append("\n## Tables beside them\n")
    for declared in metric.TABLES:
        if declared.partition_by and declared.name != "metric_merchants":
            parts.append(
                f"- **`{declared.name}`**: {declared.description} Grain: {declared.grain}. {declared.caveats}"
            )
    parts.append("\nStages, in `metric_stages`; each user is in one:\n")
    parts += [f"- `{stage}`: {what}." for stage, what in metric.STAGES.items()]
    slots = ", ".join(f"`{slot}`" for slot in state.FUNNEL_SLOTS)
    parts.append(
        f"\nSlots, in `metric_funnels`: {slots}. A slot of your own in `conf/slots.toml` counts as unknown's there."
    )
    return "\n".join(parts) + "\n"


def _entry(m: Metric) -> str:
    kind = "ratio" if m.is_ratio else "estimate" if m.is_estimate else ""
    what = f"{kind} in {m.unit}" if kind and m.unit != "ratio" else m.unit
    facts = [what, m.window, f"from {m.source}"]
    if m.population:
        facts.append(f"n = `{m.population}`")
    if m.lower_is_better:
        facts.append("lower is better")
    facts.append("can be scored" if m.scored else "shown")
    edges = f" {m.edges}" if m.edges else ""
    return f"- **`{m.id}`** ({'; '.join(facts)}): {m.definition}{edges}"


if __name__ == "__main__":
    print(page(), end="")
