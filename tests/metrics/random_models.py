"""Seeded rows of score_potentials: two fits, so that the as-of days have none, the first and the second in force."""

import random
from collections.abc import Iterable
from datetime import date, timedelta

import pyarrow as pa

from ccare.runtime.rowstore import arrow_rows
from ccare.tables import table


def random_models(merchants: Iterable[str], last: date) -> pa.Table:
    """Most merchants at each of two days, with whole parameters; some spend models are not known."""
    draw, rows = random.Random(5), []
    for fitted in (last - timedelta(days=57), last - timedelta(days=34)):
        for merchant in merchants:
            row = {
                "merchant_id": merchant,
                "as_of_date": fitted,
                "calibration": draw.uniform(0.8, 1.2),
                "r": draw.uniform(0.3, 0.9),
                "alpha_days": draw.uniform(8, 40),
                "a": draw.choice([0.6, 0.8, 1.4]),
                "b": draw.uniform(1.5, 4),
            }
            spend = {
                "spend_p": draw.uniform(2, 6),
                "spend_q": draw.uniform(2, 5),
                "spend_v": draw.uniform(50, 4000),
            }
            if draw.random() < 0.9:
                rows.append(row | (spend if draw.random() < 0.9 else {}))
    return arrow_rows(table("score_potentials"), rows)
