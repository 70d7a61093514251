"""Kills a run of many records with SIGKILL, starts it again, and prints how soon it is back at work.

    uv run python benchmarks/recovery.py [--records 1000000] [--kills 3]

The run is a `batchflow run` of a job file, killed while it reads: each time when another share of the records is packed. It
is back at work when the new process has packed, sent or brought home its first batch, or delivered a part. Beside it stands
how long a process takes that has nothing to recover: the difference is what recovery costs. Nothing is judged here: it
prints, and exits 0.
"""

import argparse
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from records import write
from task import MAX_TOKENS, MODEL, SLICE

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-c", "from batchflow.cli import main; main()", "run", "--json"]
JOB = """
version: 1
provider: {{base_url: "{url}", api_key: "sk-nobody"}}
jobs:
  summaries:
    source: {{type: jsonl, path: "{source}", key: id}}
    request: {{model: {model}, max_tokens: {max_tokens}, prompt: "Summarise this claim: {{{{ text }}}}"}}
    batch: {{max_requests: {slice}}}
    sinks: [{{type: jsonl, path: out.jsonl}}]
"""
WORK = ("batch.drafted", "batch.submitted", "batch.collected", "part.delivered")
FEW = 20
ENOUGH = 0.01
"""How often the state is looked at while a process works, in seconds."""


class Run:
    """One folder with a job, and the processes that work on it."""

    def __init__(self, folder: Path, url: str, source: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._state = folder / ".batchflow" / "state.db"
        settings = {"url": url, "source": source, "model": MODEL, "max_tokens": MAX_TOKENS, "slice": SLICE}
        (folder / "batchflow.yaml").write_text(JOB.format(**settings))
        self._log = (folder / "log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Starts a process; gives the time."""
        began = time.perf_counter()
        self._process = subprocess.Popen(COMMAND, cwd=self._folder, stdout=self._log, stderr=self._log)
        return began

    def wait_for_rows(self, rows: int) -> None:
        """Waits until so many rows are packed."""
        while self.rows() < rows and self._works():
            time.sleep(ENOUGH)

    def wait_for_work(self, before: int) -> None:
        """Waits until more was done than before: a batch packed, sent or brought home, or a part delivered."""
        while self.done() <= before and self._works():
            time.sleep(ENOUGH)

    def rows(self) -> int:
        """Tells how many rows are packed."""
        return self._ask("SELECT sum(n) FROM books WHERE name = 'rows'")

    def done(self) -> int:
        """Counts what was done so far."""
        return self._ask(f"SELECT count(*) FROM events WHERE kind IN {WORK}")

    def _works(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _ask(self, query: str) -> int:
        """Looks into the state, past the process that works on it."""
        if not self._state.exists():
            return 0
        with closing(sqlite3.connect(f"file:{self._state}?mode=ro", uri=True, timeout=10)) as database:
            try:
                return database.execute(query).fetchone()[0] or 0
            except sqlite3.OperationalError:  # a new database has no tables for a moment
                return 0

    def kill(self) -> None:
        """Ends the process as a crash would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Ends what is still at work."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._log.close()


@contextmanager
def server() -> Iterator[str]:
    """Serves the API for the time of a block."""
    process = subprocess.Popen([sys.executable, HERE / "server.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def begin(run: Run) -> float:
    """Starts a process, and measures how soon it does something."""
    before = run.done()
    began = run.start()
    run.wait_for_work(before)
    return time.perf_counter() - began


def start_up(folder: Path, url: str, name: str) -> float:
    """Measures a process that has nothing to recover."""
    run = Run(folder / name, url, folder / "few.jsonl")
    took = begin(run)
    run.close()
    return took


def main() -> None:
    """Measures, and prints a line for each kill."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--kills", type=int, default=3)
    arguments.add_argument("--folder", type=Path, help="where records and state go; default: a temporary folder")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch, server() as url:
        folder = Path(scratch)
        write(folder / "few.jsonl", FEW)
        print(
            "start-up with nothing to recover: " + ", ".join(f"{start_up(folder, url, str(n)):.2f} s" for n in range(3))
        )
        write(folder / "records.jsonl", asked.records)
        run = Run(folder / "many", url, folder / "records.jsonl")
        run.start()
        for kill in range(1, asked.kills + 1):
            run.wait_for_rows(asked.records * kill // (asked.kills + 1))
            run.kill()
            packed, took = run.rows(), begin(run)
            print(
                f"killed with {packed:,} rows packed: back at work {took:.2f} s after the process was started",
                flush=True,
            )
        run.close()


if __name__ == "__main__":
    main()
