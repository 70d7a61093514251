"""Measures batchflow and the naive script side by side, in one go, and prints the ratio.

    uv run python benchmarks/compare.py [--records 100000] [--rounds 3]

Every figure comes from fresh processes that take turns, because the same loop's CPU time may differ by a third between
one minute and the next. What a record costs is the CPU (user and system) of a whole run less that of a run of 1,000
records, so that start-up does not count. Nothing is judged here: it prints, and exits 0.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from records import write

HERE = Path(__file__).parent
FEW = 1_000
MOST_NAIVE = 100_000
"""The naive script holds everything: 100,000 records take it half a gigabyte."""


class Measured(NamedTuple):
    """What one process said of itself."""

    rows: int
    seconds: float
    cpu: float
    peak_mb: float


class Cost(NamedTuple):
    """What one round showed for one side."""

    few: float
    many: float
    count: int
    rate: float
    peak_mb: float

    @property
    def us(self) -> float:
        """A record's CPU, by this round."""
        return per_record(self.few, self.many, self.count)


@contextmanager
def server() -> Iterator[str]:
    """Starts a server for one process, so that none finds the batches of another."""
    with subprocess.Popen([sys.executable, HERE / "server.py"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def measure(side: str, data: Path, count: int) -> Measured:
    """Runs one side once, in a folder of its own."""
    records = data / f"{count}.jsonl"
    write(records, count)
    with tempfile.TemporaryDirectory(dir=data) as folder, server() as url:
        out = Path(folder) / "out.jsonl"
        command = [sys.executable, HERE / f"{side}.py", url, records, out, Path(folder) / "state"]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        with out.open("rb") as file:
            written = sum(1 for _ in file)
    measured = Measured(**json.loads(told.stdout))
    if not measured.rows == written == count:
        raise SystemExit(f"{side}: {count} records, {measured.rows} answers, {written} lines")
    return measured


def cost(side: str, data: Path, count: int) -> Cost:
    """Weighs a run of many records against one of few."""
    few, many = measure(side, data, FEW), measure(side, data, count)
    told = Cost(few.cpu, many.cpu, count, count / many.seconds, many.peak_mb)
    print(f"  {side:14} {told.us:7.1f} us   {many.peak_mb:6.1f} MB   {many.seconds:6.1f} s", flush=True)
    return told


def per_record(few: float, many: float, count: int) -> float:
    """Weighs a long run against a short one, in microseconds a record."""
    return (many - few) / (count - FEW) * 1e6


def least(costs: list[Cost]) -> float:
    """Weighs the quickest long run against the quickest short one: what disturbs a run only ever adds to it."""
    return per_record(min(one.few for one in costs), min(one.many for one in costs), costs[0].count)


def table(ours: list[Cost], naive: list[Cost], counts: tuple[int, int]) -> None:
    """Prints the least and the median of the rounds."""
    print(f"\n{'':14} {'records':>9} {'us/record':>16} {'records/s':>10} {'peak MB':>8}")
    for name, costs, count in (("batchflow", ours, counts[0]), ("naive", naive, counts[1])):
        spent = median(one.us for one in costs)
        rate, peak = max(one.rate for one in costs), max(one.peak_mb for one in costs)
        print(f"{name:14} {count:9,} {least(costs):7.1f} ({spent:.1f}) {rate:10,.0f} {peak:8.0f}")
    ratio = least(naive) / least(ours)
    paired = median(theirs.us / mine.us for mine, theirs in zip(ours, naive, strict=True))
    print(
        f"\nA record costs the naive script {ratio:.1f} times the CPU by the least of each, {paired:.1f} by the median of pairs."
    )


def main() -> None:
    """Takes turns, then prints."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--data", type=Path, help="where records are kept between calls; the default is a new folder"
    )
    given = arguments.parse_args()
    counts = given.records, min(given.records, MOST_NAIVE)
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or Path(folder)
        ours: list[Cost] = []
        naive: list[Cost] = []
        for number in range(1, given.rounds + 1):
            print(f"round {number} of {given.rounds}", flush=True)
            ours.append(cost("batchflow_run", data, counts[0]))
            naive.append(cost("naive", data, counts[1]))
        table(ours, naive, counts)


if __name__ == "__main__":
    main()
