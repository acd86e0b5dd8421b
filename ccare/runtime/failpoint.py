"""Named places where a test may kill the process, as a power cut would. Without CCARE_FAILPOINT nothing happens."""

import os
import signal


def reach(name: str) -> None:
    """Die here, unannounced, when CCARE_FAILPOINT is ``name``."""
    if os.environ.get("CCARE_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
