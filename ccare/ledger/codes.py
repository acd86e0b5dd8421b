"""What may happen in the ledger: each code, and the only two accounts that it may join."""

from ccare.tables.ledger import ASSETS, CODES

FUND, EARN, ACTIVATE, EXPIRE, FALL, DEBT, REPAY = CODES

PARTY = "[A-Za-z0-9_-]{1,64}"
POOL = "[a-z][a-z0-9_:-]*"
_AVAILABLE = f"pool:{POOL}:available"
_RECEIVABLE = f"pool:{POOL}:receivable"

ROUTES: dict[str, tuple[tuple[str, str], ...]] = {
    FUND: (("world:funding", _AVAILABLE),),
    EARN: ((_AVAILABLE, f"merchant:{PARTY}:pending"),),
    ACTIVATE: ((f"merchant:{PARTY}:pending", f"merchant:{PARTY}:active"),),
    EXPIRE: ((f"merchant:{PARTY}:active", "sink:expired"),),
    FALL: ((f"merchant:{PARTY}:(pending|active)", _AVAILABLE),),
    DEBT: ((f"merchant:{PARTY}:debt", _RECEIVABLE),),
    REPAY: ((f"merchant:{PARTY}:active", _AVAILABLE), (_RECEIVABLE, f"merchant:{PARTY}:debt")),
}
"""Code -> the (debit, credit) account patterns that a transfer of it may have."""

__all__ = ["ACTIVATE", "ASSETS", "CODES", "DEBT", "EARN", "EXPIRE", "FALL", "FUND", "REPAY", "ROUTES"]
