"""What the fault table compares with: the official SDK, used as its documentation shows, with its own retries.

Batches are created in slices, each is polled until it has ended, and its results are written as they stream. Rows that
failed are printed, as in the documentation. It is not made to look bad: rows are told apart by `custom_id`, whatever
their order, and a second start begins the output anew, so that nothing stands in it twice.

    uv run python benchmarks/plain.py URL RECORDS.jsonl OUT.jsonl SLICE
"""

import json
import sys
import time
from pathlib import Path

from anthropic import Anthropic
from naive import request

POLL = 0.2
"""Seconds between looks; the documentation says 60, for a server whose hours are not seconds."""


def main(url: str, source: Path, out: Path, size: int) -> None:
    """Creates, waits, writes."""
    client = Anthropic(base_url=url, api_key="sk-plain")
    requests = [request(json.loads(line)) for line in source.read_text().splitlines()]
    slices = [requests[start : start + size] for start in range(0, len(requests), size)]
    batches = [client.messages.batches.create(requests=part) for part in slices]
    with out.open("w") as file:
        for batch in batches:
            while client.messages.batches.retrieve(batch.id).processing_status != "ended":
                time.sleep(POLL)
            for row in client.messages.batches.results(batch.id):
                match row.result.type:
                    case "succeeded":
                        text = row.result.message.content[0].text
                        file.write(json.dumps({"key": row.custom_id, "text": text}) + "\n")
                    case failed:
                        print(f"{row.custom_id}: {failed}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
