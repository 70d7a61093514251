"""The command line: a door. It parses, prints and maps errors to exit codes; it decides nothing about runs.

One module a verb, imported when that verb is typed. Data goes to standard output, everything else to standard error.
"""

import gc
import os
import sys
import threading

PATIENCE = 2.0
"""Seconds for threads to end that have only to be let go. Everything is committed and told by then."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    from batchflow.cli.app import command_line
    from batchflow.cli.streams import occupy

    occupy()
    code = command_line(sys.argv[1:])
    _leave_stuck_threads(code)
    # Python looks for cycles once more at its end, in all that was ever imported: a third of a second after a run, spent on
    # what goes with the process anyway.
    gc.freeze()
    sys.exit(code)


def _leave_stuck_threads(code: int) -> None:
    """End at once where a thread is stuck in code of others that was given up: Python would wait for it for ever."""
    stuck = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in stuck:
        thread.join(PATIENCE)
    if any(thread.is_alive() for thread in stuck):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
