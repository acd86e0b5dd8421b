"""Who of the panel has a mini-program: simulated records beside real ones that stay as they are."""

import json
from datetime import date

from ccare.simulate.mini_program_owners import mini_program_id, write_mini_programs

GO_LIVE = date(2017, 12, 24)


def delivered(root, stream, day, *rows):
    folder = root / stream / day
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def record(merchant, since, **about):
    row = {"merchant_id": merchant, "name": merchant, "industry": "DELI", "own_brand": False}
    return row | {"joined_on": since, "valid_from": since, "origin": "real"} | about


def landing_in(root):
    old = [record(m, "2017-02-03") for m in ("visited", "unvisited")]
    delivered(root, "merchants", "2017-12-24", *old, record("made", "2017-01-01", origin="simulated"))
    delivered(root, "merchants", "2017-12-28", record("new", "2017-12-27"))
    came = [{"merchant_id": m, "event_type": "launch"} for m in ("visited", "visited", "new", "made")]
    delivered(root, "mini_program", "2017-12-24", *came)
    with (root / "mini_program" / "2017-12-24" / "rows.jsonl").open("a") as handle:
        handle.write('{"merchant_id":"unvisit\n')
    return root


def written(root):
    return {
        p.parent.name: [json.loads(line) for line in p.read_text().splitlines()]
        for p in sorted(root.rglob("simulated-mini-programs.jsonl"))
    }


def test_a_visited_merchant_gets_a_second_record_that_is_simulated(tmp_path):
    before = landing_in(tmp_path) / "merchants" / "2017-12-24" / "rows.jsonl"
    real = before.read_text()
    assert write_mini_programs(tmp_path, GO_LIVE) == 2
    told = {"mini_program_id": mini_program_id("visited"), "valid_from": "2017-12-24", "origin": "simulated"}
    new = {"mini_program_id": mini_program_id("new"), "valid_from": "2017-12-28", "origin": "simulated"}
    assert written(tmp_path) == {
        "2017-12-24": [record("visited", "2017-02-03") | told],
        "2017-12-28": [record("new", "2017-12-27") | new],
    }
    assert before.read_text() == real


def test_the_same_landing_gives_the_same_bytes_and_without_visits_none(tmp_path):
    one, other = landing_in(tmp_path / "one"), landing_in(tmp_path / "other")
    assert [write_mini_programs(root, GO_LIVE) for root in (one, one, other)] == [2, 2, 2]
    assert written(one) == written(other)
    quiet = tmp_path / "quiet"
    delivered(quiet, "merchants", "2017-12-24", record("m", "2017-01-01"))
    assert write_mini_programs(quiet, GO_LIVE) == 0 and not written(quiet)
