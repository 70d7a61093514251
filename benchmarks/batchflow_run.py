"""Our side: the same task as a job, from a JSONL file through a template to a JSONL file, with all of its safety.

uv run python benchmarks/batchflow_run.py URL RECORDS.jsonl OUT.jsonl STATE_FOLDER
"""

import sys
import time
from pathlib import Path

import anyio
from task import MAX_TOKENS, MODEL, PROMPT, SLICE, SYSTEM, report

from batchflow import Batchflow, Job
from batchflow.builtin.anthropic.provider import anthropic
from batchflow.builtin.builders.template import template
from batchflow.builtin.sinks.jsonl import jsonl as lines_out
from batchflow.builtin.sources.jsonl import jsonl as lines_in
from batchflow.cli.process import settle_in
from batchflow.model.rules import BatchRules, Rules
from batchflow.model.units import Secret


async def main(url: str, source: Path, out: Path, state: Path) -> None:
    """Runs the job to its end, and reports."""
    began = time.perf_counter()
    job = Job(
        name="summaries",
        source=lines_in(path=source, key="id"),
        request=template(
            model=MODEL,
            max_tokens=MAX_TOKENS,
            system=SYSTEM,
            prompt=PROMPT.replace("{", "{{ ").replace("}", " }}"),
        ),
        sinks=[lines_out(path=out)],
        rules=Rules(batch=BatchRules(max_requests=SLICE)),
    )
    provider = anthropic(api_key=Secret("sk-nobody"), base_url=url)
    async with Batchflow(state, provider=provider) as flow:
        told = await flow.run(job)
    report(told.books["delivered"], time.perf_counter() - began)


if __name__ == "__main__":
    settle_in()  # as the command line does; a library leaves it to its host
    anyio.run(main, sys.argv[1], *map(Path, sys.argv[2:5]))
