"""The two streams: data to standard output, remarks to standard error. Nobody else writes to either."""

import os
import sys
from typing import Any

BOLD, RED, DIM = "1", "1;31", "2"


def remark(text: str) -> None:
    """Say something to the person at the terminal."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def data(text: str) -> None:
    """Write what was asked for."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def facts(value: Any) -> None:
    """Write facts as JSON."""
    import msgspec

    data(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def styled(text: str, style: str) -> str:
    """Mark a word of a remark, where the terminal can show it."""
    colored = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{style}m{text}\x1b[0m" if colored else text
