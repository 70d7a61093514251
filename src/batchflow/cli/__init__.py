"""The command line: a door. It parses, prints and maps errors to exit codes; it decides nothing about runs.

One module a verb, imported when that verb is typed. Data goes to standard output, everything else to standard error.
"""

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from batchflow.cli.app import command_line

    sys.exit(command_line(sys.argv[1:]))
