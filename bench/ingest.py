"""``make bench-ingest``: payments as JSON lines into a core table, beside DuckDB doing the same in the same run.

Two peers: a script that gives every line the same fate (line by line, duplicate keys seen, every reason, HMAC), and
DuckDB's own read_json with the same checks as filters, which loses what it drops. Whole processes are timed, starts
included; memory is the process tree's peak resident set. Seconds on the clock say what a user waits for and are
worth nothing on a machine that others work on; processor seconds of the process tree hardly change there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.duckdb_ingest import GENERATE, MERCHANTS

ROOT = Path(__file__).resolve().parents[1]
DAY = "2026-03-01"
KEY = "k" * 40


@dataclass(frozen=True)
class Measured:
    """One whole process."""

    seconds: float
    processor: float
    peak_mib: int
    out: str

    def line(self, name: str, told: str, peer: "Measured | None" = None) -> str:
        """What was measured, and how many times as much it is as a peer's."""
        shown = f"  {name:<23} {self.seconds:7.1f} s  {self.processor:7.1f} processor s"
        ratio = (
            f"   ccare / it {peer.seconds / self.seconds:.2f}, {peer.processor / self.processor:.2f}"
            if peer
            else ""
        )
        return f"{shown}   peak {self.peak_mib:,} MiB   {told}{ratio}"


def main() -> None:
    """Generate, run ccare and both peers, print seconds, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, nargs="*", default=[4_000_000], help="lines to ingest")
    parser.add_argument("--memory", default="1536m", help="heap of ccare's JVM")
    options = parser.parse_args()
    for lines in options.lines:
        with tempfile.TemporaryDirectory(prefix="ccare-bench-") as scratch:
            _bench(lines, options.memory, Path(scratch))


def _bench(lines: int, memory: str, scratch: Path) -> None:
    landing = scratch / "landing"
    payments = landing / "payments" / "2026-03-02" / "payments.jsonl"
    merchants = landing / "merchants" / "2026-03-02" / "merchants.jsonl"
    for path, query in ((payments, GENERATE), (merchants, MERCHANTS)):
        path.parent.mkdir(parents=True)
        written = "(format csv, header false, quote '', escape '', delimiter '\x01')"
        duckdb.execute(f"copy ({query.format(lines=lines)}) to '{path}' {written}")
    size = payments.stat().st_size
    print(f"{lines:,} lines, {size / 1e9:.2f} GB, {os.cpu_count()} cores; simulated rows")
    peers = {
        mode: _measure(
            [sys.executable, "-m", "bench.duckdb_ingest", str(payments), mode, str(scratch / mode)]
        )
        for mode in ("lines", "native")
    }
    own = _ccare(landing, scratch, memory)
    told = json.loads(own.out)
    table = next(w for w in told["written"] if w["table"] == "core_payments")
    print(own.line("ccare ingest", f"{table['rows']:,} rows taken"))
    print(f"    of it core_payments   {table['seconds']:7.1f} s   {table['spark_jobs']} Spark jobs")
    for mode, name in (("lines", "DuckDB, same fates"), ("native", "DuckDB read_json")):
        print(peers[mode].line(name, peers[mode].out.strip(), own), flush=True)


def _ccare(landing: Path, scratch: Path, memory: str) -> Measured:
    environment = {
        **os.environ,
        "CCARE_LAKE": str(scratch / "lake"),
        "CCARE_LANDING": str(landing),
        "CCARE_EXPORTS": str(scratch / "exports"),
        "CCARE_PSEUDONYM_KEY": KEY,
        "CCARE_DRIVER_MEMORY": memory,
    }
    command = [sys.executable, "-m", "ccare.cli", "ingest", "--day", DAY, "--json"]
    for stream in ("mini_program", "life_account"):
        command += ["--allow-missing", stream]
    return _measure(command, environment)


def _measure(command: list[str], environment: dict[str, str] | None = None) -> Measured:
    started, peak = time.monotonic(), 0
    processor: dict[int, float] = {}
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out)
        while process.poll() is None:
            tree = process_tree(process.pid)
            peak = max(peak, sum(kib for kib, _ in tree.values()))
            processor |= {pid: seconds for pid, (_, seconds) in tree.items()}
            time.sleep(0.2)
        seconds = time.monotonic() - started
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ended with {process.returncode}")
    return Measured(seconds, sum(processor.values()), peak // 1024, text)


def process_tree(pid: int) -> dict[int, tuple[int, float]]:
    """A process and its descendants: resident KiB and processor seconds so far."""
    found, waiting = {}, [pid]
    while waiting:
        each = waiting.pop()
        try:
            status = Path(f"/proc/{each}/status").read_text()
            # Behind the name, which may hold anything; user and system time are its 12th and 13th fields.
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            children = Path(f"/proc/{each}/task/{each}/children").read_text().split()
        except OSError:
            continue
        kib = next((int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS")), 0)
        found[each] = kib, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        waiting += map(int, children)
    return found


if __name__ == "__main__":
    main()
