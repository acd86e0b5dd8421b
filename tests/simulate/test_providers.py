"""The demo's service providers: simulated, drawn from real sellers, the same each time."""

import json
from datetime import date, timedelta

from ccare.ledger.growth_over_peers import ADOPTED_DAYS
from ccare.simulate.providers import ADOPTERS_EACH, PROVIDERS, write_providers

GO_LIVE = date(2017, 12, 24)
LAST_DAY = date(2017, 12, 31)


def sold(landing, *rows):
    folder = landing / "payments" / "2017-12-25"
    folder.mkdir(parents=True)
    keys = ("merchant_id", "amount_fen", "origin", "event_type")
    text = "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows)
    (folder / "payments.jsonl").write_text(text)


def read(landing):
    return {
        p.relative_to(landing).parts[0]: [json.loads(x) for x in p.read_text().splitlines()]
        for p in sorted(landing.rglob("simulated-providers.jsonl"))
    }


def test_three_providers_have_adopters_among_those_that_sold_most(tmp_path):
    most = [(f"m{n}", 9_000 + n, "real", "paid") for n in range(3 * PROVIDERS * ADOPTERS_EACH)]
    sold(tmp_path, *most, ("small", 1, "real", "paid"), ("made", 10**9, "simulated", "paid"))
    assert write_providers(tmp_path, GO_LIVE) == PROVIDERS * ADOPTERS_EACH
    found = read(tmp_path)
    owner = {s["solution_id"]: s["service_provider_id"] for s in found["solutions"]}
    assert set(owner.values()) == {p["service_provider_id"] for p in found["service_providers"]}
    each = [owner[a["solution_id"]] for a in found["solution_adoptions"]]
    assert {each.count(p) for p in owner.values()} == {ADOPTERS_EACH}
    adopters = {a["merchant_id"] for a in found["solution_adoptions"]}
    assert len(adopters) == PROVIDERS * ADOPTERS_EACH and not {"small", "made"} & adopters
    on = {date.fromisoformat(a["adopted_on"]) for a in found["solution_adoptions"]}
    assert all(timedelta() <= LAST_DAY - day <= timedelta(days=ADOPTED_DAYS) for day in on)
    assert all(row["origin"] == "simulated" for rows in found.values() for row in rows)
    write_providers(tmp_path, GO_LIVE)
    assert read(tmp_path) == found


def test_without_sales_there_is_nobody(tmp_path):
    assert write_providers(tmp_path, GO_LIVE) == 0 and read(tmp_path) == {}
