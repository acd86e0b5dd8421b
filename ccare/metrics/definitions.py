"""Every metric declared once: table columns, scores, docs and catalogue comments derive from here.

The model's public sources name dimensions and give no formulas; these are this project's own.
"""

from ccare.metrics.declared_activity import ACTIVITY
from ccare.metrics.declared_efficiency import EFFICIENCY, LIFT
from ccare.metrics.declared_potential import POTENTIAL
from ccare.metrics.declared_scale import SCALE
from ccare.metrics.model import DIMENSIONS, Metric

METRICS = (*SCALE, *ACTIVITY, *POTENTIAL, *EFFICIENCY)
"""Counts and ratios: exact whole numbers, or a quotient of two."""
ESTIMATES = (LIFT,)
"""Shown with an interval, never scored."""

METRIC_BY_ID = {metric.id: metric for metric in (*METRICS, *ESTIMATES)}
SCORED_METRICS = tuple(metric for metric in METRICS if metric.scored)


def metric(metric_id: str) -> Metric:
    """The metric called ``metric_id``; KeyError names the known ones."""
    try:
        return METRIC_BY_ID[metric_id]
    except KeyError:
        known = ", ".join(METRIC_BY_ID)
        raise KeyError(f"unknown metric {metric_id}; known are {known}") from None


__all__ = ["DIMENSIONS", "ESTIMATES", "METRICS", "METRIC_BY_ID", "SCORED_METRICS", "Metric", "metric"]
