"""What both sides are asked to do, and how either says what it took."""

import json
import resource
from pathlib import Path

MODEL = "claude-haiku-4-5"
MAX_TOKENS = 512
SYSTEM = "You read insurance claims. Answer in two sentences."
PROMPT = (
    "Summarise this claim.\nTitle: {title}\nLanguage: {lang}\n\n<claim>\n{text}\n</claim>\n\nTwo sentences, please."
)
SLICE = 10_000
"""Requests in a batch."""


def report(rows: int, seconds: float) -> None:
    """Prints one line: CPU seconds of this whole process so far, and the most memory it ever had."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"rows": rows, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_mb": peak_mb()}
    print(json.dumps(told))


def peak_mb() -> float:
    """Reads VmHWM where there is one; elsewhere asks the kernel for what is nearly the same."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
