# Each target brings a bare checkout up by itself; a finished set-up is skipped in well under two seconds.
PY := .venv/bin/python

.PHONY: help setup demo airflow test check bench bench-ingest bench-day doctor hooks bench-score bench-exports bench-programmes bench-ledger bench-abuse other-duckdbs torture lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## .venv, the locked packages, Java, the Delta jars
	@sh scripts/bootstrap

demo: setup ## a year of real purchases: scores, points, exports, catalogue
	@.venv/bin/ccare demo $(ARGS)

airflow: setup ## a scheduler and its pages on loopback, over the demo's lake
	@sh scripts/airflow

# Two processes: one alone leaves a core idle half the time. A file's tests stay together, for they share a lake.
test: check ## style, types, and every test
	@$(PY) -m pytest -n $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder --durations=40 $(ARGS)

torture: setup ## a ledger's close killed at every pair of places; a ledger's year by a seed that it prints
	@$(PY) -m pytest tests/ledger/test_killed.py tests/ledger/test_year.py --all-pairs --full-year $(ARGS)

check: setup ## style and types only
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

bench: setup ## seconds, jobs, commits, rows and bytes of each step of a day
	@$(PY) -m bench $(ARGS)

bench-ingest: setup ## 4 million payments into a core table, beside DuckDB doing the same
	@$(PY) -m bench.ingest $(ARGS)

bench-day: setup ## a day's cost over 30, 90 and 365 days of history, beside recomputing it
	@$(PY) -m bench.day $(ARGS)

bench-score: setup ## 100,000 merchants scored; models of 5,000 with 2 million users, beside lifetimes; scores explained
	@$(PY) -m bench.score $(ARGS)
	@$(PY) -m bench.potential
	@$(PY) -m bench.explain

bench-programmes: setup ## what 200,000 merchants earn by all six programmes on a Sunday that ends a month and on a Thursday, beside DuckDB
	@$(PY) -m bench.programmes $(ARGS)

bench-exports: setup ## the folders of 100,000 merchants, and one card
	@$(PY) -m bench.exports $(ARGS)

bench-ledger: setup ## a close of 200,000 entitlements over 1 and 10 million transfers, beside DuckDB
	@$(PY) -m bench.ledger $(ARGS)

bench-abuse: setup ## abuse rules on a simulated market with planted cheats: recall, and what honest merchants lose
	@$(PY) -m bench.abuse $(ARGS)

other-duckdbs: setup ## the oldest and newest DuckDB that open the catalogue, for the tests that do
	@sh scripts/other-duckdbs

doctor: setup ## what this machine has, and the command that mends each problem
	@.venv/bin/ccare doctor

hooks: setup ## run the style and type checks at each commit
	@.venv/bin/pre-commit install

lock: setup ## resolve requirements.lock anew from pyproject.toml
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras \
		--no-emit-index-url --upgrade pyproject.toml -o requirements.lock

clean: ## remove what tools and builds left; never a lake, an export or .venv
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
