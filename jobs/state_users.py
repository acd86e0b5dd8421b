"""Lifetime of one user at one merchant."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.runtime.close import Close
from ccare.state.folds import FEW_CHANGES, users


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Every user, with what the day adds folded in."""
    before = None if close.day == close.first_day else inputs["state_users"]
    few = close.changes <= FEW_CHANGES
    return users(before, inputs["state_changes"], close.day, min(close.touched), few)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_users"))
