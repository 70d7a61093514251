"""The fault table: what each fault costs with batchflow, and with a plain script on the official SDK.

    uv run python benchmarks/faults.py [--records 1000] [--only WORDS] [--side batchflow]

Each line of the table is a process of its own against a fresh simulator, whose hours take a second. The person who is
assumed to sit beside it does one thing: when a process has ended badly, the same command is typed again; that is a human
step. What is billed is the simulator's word; lost are records of which nothing stands in the output when all is over,
neither a result nor a dead letter; doubled are records that stand there more than once. Nothing is judged here: it
prints, and exits 0.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from records import write
from task import MAX_TOKENS, MODEL, PROMPT, SYSTEM

from batchflow.sim import FaultPlan, Simulator

HERE = Path(__file__).parent
HOUR = 3600.0
SLICES = 5
TRIES = 4
"""How often a person types the same command before giving up."""
LONGEST = 300.0
"""Seconds after which a process counts as one that never ends."""
JOB = """
version: 1
provider: {{base_url: "{url}", api_key: "sk-batchflow"}}
jobs:
  claims:
    source: {{type: jsonl, path: "{source}", key: id}}
    request: {{model: {model}, max_tokens: {max_tokens}, system: "{system}", prompt: {prompt}}}
    batch: {{max_requests: {size}}}
    retry: {{after: 1s}}
    sinks:
      - {{type: jsonl, path: out.jsonl}}
      - {{type: jsonl, path: dead.jsonl, on: dead}}
"""


class Fault(NamedTuple):
    """Something that goes wrong: in the words of `batchflow sim --fault`, or done to the process from here."""

    name: str
    flags: tuple[str, ...] = ()
    kill: str = ""
    """A call at which the process is killed, in the same words; `polling` is once everything is sent."""


FAULTS = (
    Fault("nothing goes wrong; results in another order"),
    Fault("reply to a create lost (connection reset)", ("create:2:reset_after",)),
    Fault("reply to a create is a 504, the batch was made", ("create:2:status_after,status=504,body=html",)),
    Fault("reply lost among ten look-alike batches", ("create:2:lookalike,rows=10", "create:2:reset_after")),
    Fault("killed when a create was accepted", kill="create"),
    Fault("killed while polling", kill="polling"),
    Fault("download of results breaks off half-way", ("results:1:truncate",)),
    Fault("results end early, and HTTP does not notice", ("results:1:truncate,framing=close,rows=3",)),
    Fault("one row overloaded", ("row:Claim no. 7\n:overloaded",)),
    Fault("one row expired", ("row:Claim no. 7\n:expired",)),
)


class Measured(NamedTuple):
    """What came of one run under one fault."""

    billed: float
    lost: int
    doubled: int
    steps: str


class Side:
    """One way to get the work done, in a folder of its own."""

    def __init__(self, folder: Path, url: str, source: Path, size: int) -> None:
        self.folder, self.url, self.source, self.size = folder, url, source, size

    def command(self) -> Sequence[str | Path]:
        """What is typed, first and again."""
        raise NotImplementedError

    def keys(self) -> Counter[str]:
        """How often each record stands in the output."""
        files = [self.folder / name for name in ("out.jsonl", "dead.jsonl")]
        lines = [line for file in files if file.exists() for line in file.read_bytes().splitlines()]
        return Counter(json.loads(line)["key"] for line in lines)


class Ours(Side):
    """`batchflow run`, with a job file."""

    def command(self) -> Sequence[str | Path]:
        prompt = json.dumps(PROMPT.replace("{", "{{ ").replace("}", " }}"))
        task = {"model": MODEL, "max_tokens": MAX_TOKENS, "system": SYSTEM, "prompt": prompt}
        job = JOB.format(url=self.url, source=self.source, size=self.size, **task)
        (self.folder / "batchflow.yaml").write_text(job)
        return [sys.executable, "-c", "from batchflow.cli import main; main()", "run", "--json"]


class Plain(Side):
    """The script."""

    def command(self) -> Sequence[str | Path]:
        out = self.folder / "out.jsonl"
        return [sys.executable, HERE / "plain.py", self.url, self.source, out, str(self.size)]


SIDES = {"batchflow": Ours, "plain script": Plain}


def measure(kind: type[Side], fault: Fault, source: Path, count: int) -> Measured:
    """Lets one side work under one fault, as often as it takes."""
    with (
        tempfile.TemporaryDirectory(dir=source.parent) as folder,
        Simulator(seed=3, speed=HOUR, duration=HOUR, faults=FaultPlan.parse(fault.flags)) as sim,
    ):
        side = kind(Path(folder), sim.url, source, max(1, count // SLICES))
        steps, ended = 0, once(side, sim, fault, count)
        while ended != 0 and steps < TRIES:
            steps += 1
            ended = once(side, sim, Fault(""), count)
        happened(fault, sim)
        keys = side.keys()
        return Measured(
            billed=sim.stats()["rows_billed"] / count,
            lost=count - len(keys),
            doubled=sum(times > 1 for times in keys.values()),
            steps=str(steps) if ended == 0 else "never ended well",
        )


def happened(fault: Fault, sim: Simulator) -> None:
    """Refuses to print a line about a fault that did not happen."""
    stats = sim.stats()
    rows = sum(batch["counts"][word] for batch in stats["batches"] for word in ("errored", "expired"))
    if fault.flags and not stats["faults"] and not rows:
        raise SystemExit(f"{fault.name}: it did not happen")


def once(side: Side, sim: Simulator, fault: Fault, count: int) -> int:
    """Starts the process, kills it if that is the fault, and tells how it ended."""
    with (side.folder / "log").open("ab") as log:
        process = subprocess.Popen(side.command(), cwd=side.folder, stdout=log, stderr=log)
        try:
            if fault.kill == "polling":
                while sim.stats()["requests_accepted"] < count and process.poll() is None:
                    time.sleep(0.01)
                process.kill()
            elif fault.kill:  # importing takes the process longer than this
                plan = FaultPlan.parse([f"{fault.kill}:2:kill,when=after,pid={process.pid}"])
                sim.set_faults(plan)
            ended = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            ended = process.wait()
    sim.finish()  # what a dead process left on the server ends, and is billed, whoever fetches it
    return ended


def main() -> None:
    """Prints the table, line by line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=1000)
    arguments.add_argument("--only", action="append", help="faults with these words in their names; may come again")
    arguments.add_argument("--side", choices=[*SIDES], action="append")
    given = arguments.parse_args()
    chosen = [fault for fault in FAULTS if not given.only or any(words in fault.name for words in given.only)]
    print(f"| {'fault':50} | {'':12} | billed/asked | lost | doubled | human steps |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "records.jsonl"
        write(source, given.records)
        for fault in chosen:
            for name in given.side or SIDES:
                one = measure(SIDES[name], fault, source, given.records)
                print(
                    f"| {fault.name:50} | {name:12} | {one.billed:12.3f} | {one.lost:4} | {one.doubled:7} | {one.steps:11} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
