"""Run a job with parts from a plugin that lies beside it. Parts from job files and from code are the same parts."""

from pathlib import Path

import anyio
import house

from batchflow import Batchflow, Job, Plugins

HERE = Path(__file__).parent


async def main() -> None:
    """Build the job from parts by name, and run it."""
    plugins = Plugins([house])
    job = Job(
        name="fables",
        source=plugins.source("jsonl")(path=HERE / "animals.jsonl", key="animal"),
        request=plugins.builder("template")(
            model="claude-haiku-4-5",
            max_tokens=300,
            prompt="A fable in four lines about {{ animal }}, who is {{ trait }}.",
        ),
        sinks=[plugins.sink("notebook")(path=HERE / "fables.md")],
    )
    async with Batchflow(HERE / ".batchflow", plugins=plugins) as flow:
        report = await flow.run(job)
    print(f"{report.run.state}: {report.books['delivered']} delivered")


if __name__ == "__main__":
    anyio.run(main)
