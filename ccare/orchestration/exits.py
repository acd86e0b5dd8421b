"""What each exit code of ``ccare`` means to a scheduler, and to the person it wakes."""

from dataclasses import dataclass
from datetime import timedelta

from ccare.errors import GateRefused, InputMissing, IntegrityBroken, LeaseHeld, UsageError

RETRIES = 12
FAILED = 1
"""The exit code of everything that has none of its own; a killed process counts as it."""


@dataclass(frozen=True)
class ExitRule:
    """What is done about an exit code: try again after a wait that doubles, or stop for a person."""

    meaning: str
    to_do: str
    first_wait: timedelta | None = None
    longest_wait: timedelta = timedelta(minutes=30)
    tries: int = RETRIES + 1

    def wait(self, failures: int) -> timedelta | None:
        """How long to wait after the ``failures``-th failure in a row; None where a person must look."""
        if self.first_wait is None or failures >= self.tries:
            return None
        return min(self.first_wait * 2 ** min(failures - 1, 10), self.longest_wait)

    def airflow(self) -> str:
        """The same in words."""
        if self.first_wait is None:
            return "Stops at once; no retry."
        first, longest = (int(w.total_seconds() // 60) for w in (self.first_wait, self.longest_wait))
        waits = f"every {first} min" if first == longest else f"after {first} min, doubling up to {longest}"
        return f"Tries again {waits}, {self.tries - 1} times at most."


EXIT_RULES: dict[int, ExitRule] = {
    FAILED: ExitRule(
        "An error without a code of its own, or the process was killed.",
        "Read the last lines of the log. Clearing the task is safe: the run goes on where it stopped.",
        first_wait=timedelta(minutes=5),
        longest_wait=timedelta(minutes=10),
        tries=3,
    ),
    UsageError.exit_code: ExitRule(
        "The command cannot be meant: a wrong day, conf or setting, or an earlier run is not finished.",
        "Do what the last line says, then clear the task, or trigger the day again with a right conf.",
    ),
    LeaseHeld.exit_code: ExitRule(
        "Another run holds the lake.",
        "Nothing at first. When it lasts, `cat <lake>/_lease.lock` names the process that holds it.",
        first_wait=timedelta(minutes=1),
    ),
    GateRefused.exit_code: ExitRule(
        "A block expectation failed. Readers still see the day before.",
        "Read which rule, which table and how many rows. Under Required Actions approve, which lets exactly those "
        "rules go for that day in your name, or reject, have the delivery mended and clear the task.",
    ),
    InputMissing.exit_code: ExitRule(
        "Something is not there: a required delivery, the close of the day before, the key, Java.",
        "ingest waits for the delivery by itself. To go on without a stream, mark the run failed and trigger "
        'the day with conf `{"day": "YYYY-MM-DD", "allow_missing": ["STREAM"]}`. Else see `ccare doctor`.',
        first_wait=timedelta(minutes=30),
    ),
    IntegrityBroken.exit_code: ExitRule(
        "Stored bytes, rows or ledger laws are not what was published.",
        "Pause the DAG and write nothing more. Run `ccare verify`: it names the table. Then restore it.",
    ),
}


def exit_rule(code: int, *, waits_for_delivery: bool = True) -> ExitRule:
    """The rule of an exit code. Input that is missing is worth waiting for only where deliveries arrive."""
    rule = EXIT_RULES.get(code, EXIT_RULES[FAILED])
    if code == InputMissing.exit_code and not waits_for_delivery:
        return ExitRule(rule.meaning, rule.to_do)
    return rule


def runbook() -> str:
    """Markdown table of EXIT_RULES."""
    lines = ["| exit code | what happened | what Airflow does | what you do |", "|---|---|---|---|"]
    for code in sorted(EXIT_RULES):
        rule = exit_rule(code)
        does = rule.airflow()
        if code == InputMissing.exit_code:
            does = f"In ingest: {does[0].lower()}{does[1:]} Elsewhere: stops at once."
        if code == GateRefused.exit_code:
            does = "Waits for a person's word, without holding a slot; fails when nobody answers in time."
        lines.append(f"| {code} | {rule.meaning} | {does} | {rule.to_do} |")
    return "\n".join(lines)
