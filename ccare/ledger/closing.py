"""A close of the ledger, in its fixed order.

Fund and adjust, resolve reservations, falls, activate and pay debt, expire, redeem, earn.

Each step is set-based over all parties; what an earlier step gives back to a pool, a later one can grant.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.ledger.approved import adjusted, asked_so_far, decided_fundings
from ccare.ledger.at_rest import dates_looked_at, keys_looked_at, lots_that_may_move
from ccare.ledger.balances import fold_balances, fold_positions
from ccare.ledger.booked import Booked, lots_after, positions_after, whole_days
from ccare.ledger.decisions import decide
from ccare.ledger.deliveries import deliver
from ccare.ledger.entitlements import Inputs, targets
from ccare.ledger.falls import fall
from ccare.ledger.frames import by_party, shared
from ccare.ledger.lots import LOT, age
from ccare.ledger.parties import spender, split_party, with_party
from ccare.ledger.pools import available, bounded, earning_moves, funding_moves, fundings, grant, new_lots
from ccare.ledger.promotion import promote
from ccare.ledger.redemptions import Row
from ccare.ledger.refused import refusals
from ccare.ledger.reservations import due_requests, redeem, resolve
from ccare.ledger.transfers import finish, together
from ccare.tables import table

if TYPE_CHECKING:
    from ccare.runtime.close import Close

_CACHES = ("ledger_lots", "ledger_positions", "ledger_balances")


def post(inputs: Inputs, close: "Close") -> dict[str, DataFrame]:
    """Books the close of ``close.day`` on top of what was published before it.

    Returns the new rows of ledger_transfers alone; ledger_lots, ledger_positions and ledger_balances whole, or of large
    books the rows that change; of ledger_requests, ledger_allocations, ledger_adjustments, ledger_refusals and
    ledger_promotions, where they change, the days that do.
    A day that is only published again, or that lies before go-live, books nothing.
    """
    lots, positions, balances = (inputs[name].select(*table(name).column_names) for name in _CACHES)
    if not close.may_earn:
        kept = (rows.limit(0) if close.large_books else rows for rows in (lots, positions, balances))
        return dict(zip(_CACHES, kept)) | {"ledger_transfers": _no_transfers(balances)}
    asked = asked_so_far(inputs, close)
    adjusting = adjusted(inputs, asked, close)
    with ThreadPoolExecutor(1) as beside:
        rating = beside.submit(_rated, inputs, close) if close.at_rest is not None else None
        early = (adjusting, resolve(inputs, close), deliver(inputs, adjusting, close))
        requests = due_requests(inputs, close)
    lots, positions = lots_after(early, with_party(lots)), with_party(positions)
    if rating is None:
        books = _lay_out(inputs, lots, positions_after(early, positions, close), close)
    else:
        books = _lay_out_moving(inputs, lots, rating.result(), early, requests, close)
    decisions = books.looked_at.filter("kept")
    fallen = fall(books.lots, decisions)
    aged = age(fallen, books.positions, close)
    funding = decided_fundings(asked, close)
    funded = shared(fundings(books.positions, close, funding.due))
    timed = [step.moved(lots) for step in early if step.moves]
    before_earning = shared(together([together([fallen.moves, *aged.moves, *timed]), funding_moves(funded)]))
    pools = available(balances, before_earning, close.ledger)
    redeemed = redeem(inputs, requests, aged.lots, pools, close)
    grants = grant(decisions, bounded(pools, books.all_lots, close))
    # A pool is shared out by one task; what follows of many grants is for all of them.
    grants = shared(by_party(grants) if close.large_books else grants)
    reserved = [redeemed.moved(lots)] if redeemed.moves else []
    moves = together([before_earning, *reserved, earning_moves(grants)])
    transfers = shared(finish(moves, close))
    return {
        "ledger_transfers": transfers,
        "ledger_lots": split_party(
            redeemed.on_lots(aged.lots).unionByName(new_lots(grants, close).select(*LOT))
        ),
        "ledger_positions": split_party(
            fold_positions(books.positions, decisions, fallen, aged.paid, grants, funded, close)
        ),
        "ledger_balances": fold_balances(balances, transfers, close),
        **refusals(books.looked_at, grants, funding.refused, close),
        **promote(inputs, redeemed.rows.get("ledger_requests", []), close),
        **whole_days(inputs, (*early, redeemed)),
    }


@dataclass(frozen=True)
class _Books:
    """``looked_at``: what is decided of every key looked at. ``positions`` and ``lots`` are laid out by party; of large
    books those that the close may read or change. ``all_lots`` are those of before it."""

    looked_at: DataFrame
    positions: DataFrame
    lots: DataFrame
    all_lots: DataFrame


def _lay_out(inputs: Inputs, lots: DataFrame, positions: DataFrame, close: "Close") -> _Books:
    laid_lots, laid_positions = shared(by_party(lots)), shared(by_party(positions))
    return _Books(shared(decide(inputs, laid_positions, close)), laid_positions, laid_lots, laid_lots)


def _rated(inputs: Inputs, close: "Close") -> tuple[DataFrame, pa.Table]:
    """What keys are entitled to, and the parties and dates that are looked at; it needs no step before it."""
    rated = shared(targets(inputs, close))
    return rated, dates_looked_at(rated, inputs, close)


def _lay_out_moving(
    inputs: Inputs,
    lots: DataFrame,
    rating: tuple[DataFrame, pa.Table],
    early: Sequence[Booked],
    requests: Sequence[Row],
    close: "Close",
) -> _Books:
    assert close.at_rest is not None, "the books are large"
    rated, dates = rating
    keys = keys_looked_at(close.at_rest, dates, early)
    positions = shared(by_party(positions_after(early, keys, close)))
    looked_at = shared(decide(inputs, positions, close, rated))
    spending = [spender(request) for request in requests]
    moving = lots_that_may_move(close.at_rest, positions, looked_at, spending, early, close)
    return _Books(looked_at, positions, shared(by_party(lots_after(early, moving))), lots)


def _no_transfers(any_frame: DataFrame) -> DataFrame:
    columns = table("ledger_transfers").columns
    return any_frame.limit(0).select([F.lit(None).cast(c.type).alias(c.name) for c in columns])
