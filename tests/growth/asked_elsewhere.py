"""Run by another DuckDB's interpreter: opens a catalogue and prints how many rows each view has and every answer."""

import json
import sys

import duckdb

path, questions = sys.argv[1], json.loads(sys.stdin.read())
con = duckdb.connect(path, read_only=True)
views = [
    name for (name,) in con.execute("select view_name from duckdb_views() where not internal").fetchall()
]
counts = {name: con.execute(f'select count(*) from "{name}"').fetchone()[0] for name in sorted(views)}
answers: dict = {}
for name, sql, params in questions:
    try:
        answers[name] = con.execute(sql, params or None).fetchall()
    except duckdb.Error as error:
        answers[name] = str(error)
json.dump({"version": duckdb.__version__, "views": counts, "answers": answers}, sys.stdout, default=str)
