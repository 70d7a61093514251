"""The other side: what one writes from the documentation, with the official SDK and no framework.

Build every request, create batches, wait for each, go through its results, write the answers. Everything is in memory,
and a crash anywhere loses the ids of batches that were paid for.

    uv run python benchmarks/naive.py URL RECORDS.jsonl OUT.jsonl
"""

import json
import sys
import time
from pathlib import Path

from anthropic import Anthropic
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.messages.batch_create_params import Request
from task import MAX_TOKENS, MODEL, PROMPT, SLICE, SYSTEM, report


def request(record: dict[str, str]) -> Request:
    """Builds one request as the documentation does."""
    return Request(
        custom_id=record["id"],
        params=MessageCreateParamsNonStreaming(
            model=MODEL,
            max_tokens=MAX_TOKENS,
            system=SYSTEM,
            messages=[{"role": "user", "content": PROMPT.format(**record)}],
        ),
    )


def main(url: str, source: Path, out: Path) -> None:
    """Runs the records through, and reports."""
    began = time.perf_counter()
    client = Anthropic(base_url=url, api_key="sk-nobody")
    with source.open() as file:
        records = [json.loads(line) for line in file]
    requests = [request(record) for record in records]
    slices = [requests[start : start + SLICE] for start in range(0, len(requests), SLICE)]
    batches = [client.messages.batches.create(requests=part) for part in slices]
    answers: dict[str, str] = {}
    for batch in batches:
        while client.messages.batches.retrieve(batch.id).processing_status != "ended":
            time.sleep(0.1)
        for row in client.messages.batches.results(batch.id):
            if row.result.type == "succeeded":
                answers[row.custom_id] = row.result.message.content[0].text  # type: ignore[union-attr]
    with out.open("w") as file:
        for record in records:
            file.write(json.dumps({"key": record["id"], "text": answers[record["id"]]}) + "\n")
    report(len(answers), time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
