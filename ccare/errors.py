"""Errors for the person who reads them at night: what happened, what to do, and one exit code each."""


class CcareError(Exception):
    """A failure stated in one sentence, with a remedy in another.

    ``exit_code`` is what the command line returns. Messages never hold personal data.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(CcareError):
    """The command was called with something it cannot mean."""

    exit_code = 2


class LeaseHeld(CcareError):
    """Another run holds the lake's lease."""

    exit_code = 3


class LeaseLost(LeaseHeld):
    """Another run was published while this one was open: it may not publish on top of what it never read."""


class GateRefused(CcareError):
    """A block expectation failed; the published state is as it was.

    ``rules`` are those that broke on ``day`` (ISO), as table.rule; each may be let go.
    """

    exit_code = 10

    def __init__(self, message: str, *, remedy: str = "", rules: tuple[str, ...] = (), day: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.rules = rules
        self.day = day


class InputMissing(CcareError):
    """Something the command needs has not been delivered or set up."""

    exit_code = 20


class StateOutdated(CcareError):
    """State was written by an older version of this package and must be derived again."""


class IntegrityBroken(CcareError):
    """Stored bytes, rows or ledger laws differ from what was published."""

    exit_code = 30
