"""The small lake's points: transfers, and the balances, lots and positions that they add up to."""

from datetime import date, timedelta

from tests.growth.small_base import LAST, POSTED, RUN, Row, digest


def ledger() -> dict[str, list[Row]]:
    transfers = _transfers()
    balances: dict[tuple[str, str], Row] = {}
    for t in transfers:
        for account, side in ((t["debit_account"], "debits"), (t["credit_account"], "credits")):
            b = balances.setdefault(
                (account, t["asset"]),
                {
                    "account": account,
                    "asset": t["asset"],
                    "credits": 0,
                    "debits": 0,
                    "transfers": 0,
                    "folded_to": LAST,
                },
            )
            b[side] += t["amount"]
            b["transfers"] += 1
    for b in balances.values():
        b["balance"] = b["credits"] - b["debits"]
    return {
        "ledger_transfers": transfers,
        "ledger_balances": list(balances.values()),
        "ledger_lots": _lots(),
        "ledger_positions": _positions(),
        "ledger_refusals": _refusals(),
    }


def _key(merchant: str, day: date) -> str:
    return f"fanxing|trade_net|{merchant}|{day}"


def _transfers() -> list[Row]:
    """m1: A 100, of it 30 taken and 70 expired; B 60 active; C 45 pending. m2: D 20 expired, 8 owed."""
    avail = "pool:fanxing:available"

    def move(
        booked: int, code: str, debit: str, credit: str, amount: int, merchant: str | None, about: int
    ) -> Row:
        day = date(2017, 12, about)
        key = _key(merchant, day) if merchant else "funding|fanxing|DEMO-1"
        return {
            "transfer_id": digest("fanxing", code, key, booked),
            "content_hash": digest("content", code, key, booked),
            "debit_account": debit,
            "credit_account": credit,
            "amount": amount,
            "asset": "POINT",
            "programme": "fanxing",
            "code": code,
            "reason": code,
            "merchant_id": merchant,
            "lot_id": digest("lot", key) if merchant else None,
            "effective_date": day,
            "matures_on": day + timedelta(3),
            "expires_on": day + timedelta(6),
            "booked_date": date(2017, 12, booked),
            "posted_at": POSTED,
            "run_id": RUN,
            "policy_version": "demo",
            "business_key": key,
            "leg": 1,
            "revision": 1,
        }

    def mine(merchant: str, part: str) -> str:
        return f"merchant:{merchant}:{part}"

    def earn(booked: int, merchant: str, amount: int, about: int) -> Row:
        return move(booked, "earn", avail, mine(merchant, "pending"), amount, merchant, about)

    def activate(booked: int, merchant: str, amount: int, about: int) -> Row:
        return move(
            booked, "activate", mine(merchant, "pending"), mine(merchant, "active"), amount, merchant, about
        )

    def expire(booked: int, merchant: str, amount: int, about: int) -> Row:
        return move(booked, "expire", mine(merchant, "active"), "sink:expired", amount, merchant, about)

    return [
        move(24, "fund", "world:funding", avail, 100_000, None, 24),
        earn(24, "m1", 100, 24),
        earn(24, "m2", 20, 24),
        earn(25, "m1", 60, 25),
        activate(27, "m1", 100, 24),
        activate(27, "m2", 20, 24),
        move(28, "fall", mine("m1", "active"), avail, 30, "m1", 24),
        activate(28, "m1", 60, 25),
        expire(31, "m1", 70, 24),
        expire(31, "m2", 20, 24),
        move(31, "debt", mine("m2", "debt"), "pool:fanxing:receivable", 8, "m2", 24),
        earn(31, "m1", 45, 31),
        _rebate(move(24, "fund", "world:funding", "pool:chengfeng:rebate:available", 9_000, None, 24)),
        _rebate(move(31, "grant", "pool:chengfeng:rebate:available", "provider:sp1:pending", 500, None, 31)),
    ]


def _rebate(row: Row) -> Row:
    """The same about a pool whose own name holds a colon, in fen."""
    key = f"chengfeng|{row['code']}"
    about = {"asset": "FEN", "programme": "chengfeng", "business_key": key}
    return row | about | {"transfer_id": digest(key), "content_hash": digest("content", key)}


def _lots() -> list[Row]:
    def lot(merchant: str, about: int, amount: int, **parts: int) -> Row:
        day = date(2017, 12, about)
        names = ("pending", "active", "reserved", "redeemed", "expired", "taken")
        return {
            "lot_id": digest("lot", _key(merchant, day)),
            "business_key": _key(merchant, day),
            "programme": "fanxing",
            "merchant_id": merchant,
            "asset": "POINT",
            "pool": "fanxing",
            "effective_date": day,
            "revision": 1,
            "booked_date": day,
            "matures_on": day + timedelta(3),
            "expires_on": day + timedelta(6),
            "amount": amount,
            **{name: parts.get(name, 0) for name in names},
        }

    return [
        lot("m1", 24, 100, expired=70, taken=30),
        lot("m1", 25, 60, active=60),
        lot("m1", 31, 45, pending=45),
        lot("m2", 24, 20, expired=20),
    ]


def _positions() -> list[Row]:
    rows = []
    for lot in _lots():
        debt = 8 if lot["merchant_id"] == "m2" else 0
        zeros = dict.fromkeys(("lapsed", "forgiven", "cut_by_pool", "repayments"), 0)
        rows.append(
            {
                n: lot[n]
                for n in ("business_key", "programme", "merchant_id", "effective_date", "asset", "pool")
            }
            | {"rule": "trade_net", "revision": 1, "asked": lot["amount"], "granted": lot["amount"], **zeros}
            | {"net": lot["amount"] - lot["taken"] - debt, "debt": debt, "multiplier_milli": 1000}
            | {"matures_on": lot["matures_on"], "expires_on": lot["expires_on"], "updated_on": LAST}
        )
    of_provider = {
        "programme": "chengfeng",
        "rule": "growth",
        "merchant_id": None,
        "service_provider_id": "isv-1",
    }
    of_provider |= {
        "business_key": "chengfeng|growth|isv-1|2017-12-31",
        "asset": "FEN",
        "pool": "chengfeng:rebate",
    }
    of_provider |= {"asked": 500, "granted": 500, "net": 500, "debt": 0, "effective_date": LAST}
    return [*rows, rows[0] | {"cut_by_pool": 0} | of_provider]


def _refusals() -> list[Row]:
    """m2's 30th was refused, and is cut since the close of the 31st; m1 had no mini-program on the 26th."""

    def refused(merchant: str, about: int, decided: int, reason: str, amount: int) -> Row:
        day = date(2017, 12, about)
        row = {"business_key": _key(merchant, day), "programme": "fanxing", "rule": "trade_net"}
        row |= {"merchant_id": merchant, "effective_date": day, "asset": "POINT", "reason": reason}
        return row | {"amount": amount, "decided_on": date(2017, 12, decided)}

    return [
        refused("m2", 30, 30, "no_mini_program", 5),
        refused("m2", 30, 31, "cut_by_pool", 7),
        refused("m1", 26, 26, "no_mini_program", 3),
    ]
