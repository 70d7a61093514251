"""Makes the records that both sides are given: prose of about a kilobyte, with quotes, line ends and some non-ASCII.

uv run python benchmarks/records.py records.jsonl 100000
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

LENGTH = 1000
WORDS = (
    "claim water kitchen damage policy roof storm paid cover total estimate photo after before since left right under "
    "the a an of and to in that is was for it with as his they be at one have this from or had by not but what all were"
)
ENDS = (". ", ".\n", "? ", '." ', "; ")
FAR = ("café ", "naïve ", "Zoë ", "日本語 ", "— ")


def sentences(draw: random.Random, count: int) -> list[str]:
    """Makes some sentences to put texts together from: drawing every word of a million texts would take minutes."""
    words = WORDS.split()
    made: list[str] = []
    for _ in range(count):
        said = " ".join(draw.choices(words, k=draw.randint(8, 20))).capitalize()
        opening = '"' if draw.random() < 0.2 else ""
        foreign = draw.choice(FAR) if draw.random() < 0.1 else ""
        made.append(opening + said + draw.choice(ENDS) + foreign)
    return made


def records(count: int, *, length: int = LENGTH, seed: int = 1) -> Iterator[dict[str, str]]:
    """Yields records; the same seed gives the same ones."""
    draw = random.Random(seed)
    pool = sentences(draw, 500)
    for number in range(count):
        text, wanted = "", length + draw.randint(-length // 10, length // 10)
        while len(text) < wanted:
            text += draw.choice(pool)
        yield {"id": f"claim-{number:08d}", "title": f"Claim no. {number}", "text": text, "lang": "en"}


def write(path: Path, count: int) -> None:
    """Writes them as JSON Lines, unless they are there already."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    encode = msgspec.json.encode
    with draft.open("wb") as file:
        file.writelines(encode(record) + b"\n" for record in records(count))
    draft.rename(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
