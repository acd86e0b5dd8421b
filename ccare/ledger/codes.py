"""What may happen in the ledger: each code, and the only two accounts that it may join."""

from ccare.tables.ledger import CODES

FUND, EARN, ACTIVATE, EXPIRE, FALL, DEBT, REPAY, RESERVE, SETTLE, VOID, ADJUST = CODES

PARTY = "(?:merchant|provider):[A-Za-z0-9_-]{1,64}"
POOL = "[a-z][a-z0-9_:-]*"
SLOT = "[a-z][a-z0-9_]*"
_AVAILABLE = f"pool:{POOL}:available"
_RESERVED = f"{PARTY}:reserved"
_RECEIVABLE = f"pool:{POOL}:receivable"

ROUTES: dict[str, tuple[tuple[str, str], ...]] = {
    FUND: (("world:funding", _AVAILABLE),),
    EARN: ((_AVAILABLE, f"{PARTY}:pending"),),
    ACTIVATE: ((f"{PARTY}:pending", f"{PARTY}:active"),),
    EXPIRE: ((f"{PARTY}:active", "sink:expired"),),
    FALL: ((f"{PARTY}:(pending|active)", _AVAILABLE),),
    DEBT: ((f"{PARTY}:debt", _RECEIVABLE),),
    REPAY: ((f"{PARTY}:active", _AVAILABLE), (_RECEIVABLE, f"{PARTY}:debt")),
    RESERVE: ((f"{PARTY}:active", _RESERVED), (_AVAILABLE, _RESERVED)),
    SETTLE: (
        (_RESERVED, f"sink:redeemed:{SLOT}"),
        (_RESERVED, f"sink:delivered:{SLOT}"),
        (f"{PARTY}:active", f"sink:delivered:{SLOT}"),
    ),
    VOID: ((_RESERVED, f"{PARTY}:active"), (_RESERVED, _AVAILABLE)),
    ADJUST: (
        (_AVAILABLE, "world:funding"),
        (f"{PARTY}:(pending|active)", _AVAILABLE),
        (_AVAILABLE, f"{PARTY}:pending"),
        ("sink:expired", f"{PARTY}:pending"),
        (f"sink:redeemed:{SLOT}", f"{PARTY}:pending"),
    ),
}
"""Code -> the (debit, credit) account patterns that a transfer of it may have."""

__all__ = [
    *("ACTIVATE", "ADJUST", "ASSETS", "CODES", "DEBT", "EARN", "EXPIRE", "FALL", "FUND", "REPAY", "RESERVE"),
    *("ROUTES", "SETTLE", "VOID"),
]
