"""A job inside a program of your own: declared with functions, run beside other tasks.

Nothing here is global: batchflow installs no signal handler and sets up no logging. Kill the program and start it again:
it goes on where it stopped, and pays for nothing twice.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio

from batchflow import Batchflow, Job
from batchflow.plugin import Bad, Event, Result

HERE = Path(__file__).parent


def tickets() -> Iterator[dict[str, Any]]:
    """The records. Called afresh after a crash, so it must give the same ones in the same order."""
    for number in range(1, 41):
        yield {"id": f"t-{number}", "text": f"Ticket {number}: the export stopped at row {number * 1000}."}


def request(ticket: dict[str, Any]) -> dict[str, Any]:
    """The request for one record: whatever the Messages API takes."""
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": f"Suggest a next step.\n\n{ticket['text']}"}],
    }


def check(result: Result) -> Result | Bad:
    """Refuse answers that say nothing: the model is asked again, in these words."""
    return result if result.text.strip() else Bad(("the answer is empty",))


def keep(results: Sequence[Result]) -> None:
    """Take some answers. A function may be given the same ones again after a crash; the built-in sinks know better."""
    with (HERE / "next-steps.md").open("a", encoding="utf-8") as file:
        file.writelines(f"{result.key}: {result.text}\n" for result in results)


def heard(event: Event) -> None:
    """Print what was committed."""
    print(f"{event.kind}: {event.text or event.subject}")


async def answer_tickets(done: anyio.Event) -> None:
    """Run the job: to its end, or from where it stopped the last time."""
    job = Job(name="next-steps", source=tickets, request=request, checks=[check], sinks=[keep])
    async with Batchflow(HERE / ".batchflow", on_event=heard) as flow:
        report = await flow.run(job)
    print(f"{report.run.state}: {report.books['delivered']} delivered")
    done.set()


async def count_seconds(done: anyio.Event) -> None:
    """Stand for whatever else the program does meanwhile."""
    while not done.is_set():
        with anyio.move_on_after(1):
            await done.wait()
        print("tick")


async def main() -> None:
    """Do both at once."""
    done = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer_tickets, done)
        tasks.start_soon(count_seconds, done)


if __name__ == "__main__":
    anyio.run(main)
