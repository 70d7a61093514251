"""Write the parts of `docs` that are made from the code: `reference.py`, or `reference.py --check`.

A page says `<!-- from the code: NAME -->`, then what was made, then `<!-- end -->`; whatever stands around it is written by
hand. A test runs the check, so a page cannot fall behind the code.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hook_pages

from batchflow.builtin.retry import DEFAULTS, WAIT, WAITS
from batchflow.cli import app as doors
from batchflow.cli.driving import SEVERITY
from batchflow.cli.exits import Exit
from batchflow.config import sections
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import HOOKS, Kind
from batchflow.extend.signature import Parameter, Spec
from batchflow.machine import drawing
from batchflow.model.words import BILLED, Word

DOCS = Path(__file__).parent.parent / "docs"
ANSWERED = BILLED | {Word.SINK_ERROR}  # which is no word of a provider: the row was ok, and a sink refused it
BLOCK = re.compile(r"(<!-- from the code: (?P<name>[a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def components(kind: Kind) -> str:
    """Describe every built-in component of a kind by its signature."""
    offers = Plugins(entry_points=False).offers(kind)
    return "\n".join(component(name, Spec.of(offer.load())) for name, offer in sorted(offers.items()))


def component(name: str, spec: Spec) -> str:
    """Describe one component."""
    more = "\nAny other option is passed on as it is.\n" if spec.open_ended else ""
    names = ", ".join(f"`{one}`" for one in spec.parameters if one in spec.mendable)
    mendable = (
        f"\nMay be [changed in the middle of a run](job-file.md#changes-in-the-middle-of-a-run): {names}.\n"
        if names
        else ""
    )
    return f"### `{name}`\n\n{spec.doc}\n\n{table(spec)}{mendable}{more}"


def section(make: Callable[..., Any]) -> str:
    """Describe a section of a job file."""
    return table(Spec.of(make))


def table(spec: Spec) -> str:
    """List options."""
    rows = [
        f"| `{one.name}` | {cell(one.type)} | {default(one)} | {cell(one.doc)} |" for one in spec.parameters.values()
    ]
    return "\n".join(["| option | type | default | |", "|---|---|---|---|", *rows, ""]) if rows else "No options.\n"


def default(one: Parameter) -> str:
    """Show a default as it would be written in a job file."""
    if one.required:
        return "required"
    if one.default in (None, "", [], {}):
        return ""
    unit = "s" if one.type.startswith("duration") else ""
    return f"`{one.default:g}{unit}`" if isinstance(one.default, float) else f"`{one.default}`"


def cell(text: str) -> str:
    """Keep a text inside its cell."""
    return text.replace("|", "\\|")


def exits() -> str:
    """List the exit codes, and which of several counts."""
    rows = [f"| {code.value} | {code.sentence} |" for code in Exit]
    order = ", ".join(str(code.value) for code in SEVERITY)
    graver = f"Of a command that runs several jobs, the gravest counts: {order}."
    return "\n".join(["| code | |", "|---|---|", *rows, "", graver, ""])


def words() -> str:
    """List what becomes of each outcome word by default."""
    rows = [f"| `{word}` | {'yes' if word in ANSWERED else 'no'} | {ruling(word)} |" for word in Word]
    return "\n".join(["| word | billed | by default |", "|---|---|---|", *rows, ""])


def ruling(word: Word) -> str:
    """Say what the default policy does."""
    waits = f", first after {WAIT * WAITS[word]:g} s" if word in WAITS else ""
    match DEFAULTS[word]:
        case "again":
            return f"asked again{waits}"
        case "pause":
            return "the run pauses; every row is kept"
        case "dead":
            return "dead letter"
        case "deliver":
            return "delivered"


def commands() -> str:
    """Describe every verb as its own help does."""
    app = doors._app()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the manual is made of what nobody else need see
    text = app.generate_docs(heading_level=1, include_hidden=False)
    return "## batchflow " + text.partition("\n## batchflow ")[2]


DRAWN = "state-machine.md"
"""A page that is made as a whole."""

BLOCKS: Mapping[str, Callable[[], str]] = {
    **{f"components {kind.replace('_', ' ')}": (lambda kind=kind: components(kind)) for kind in HOOKS},
    **{
        f"section {name}": (lambda name=name: section(getattr(sections, name)))
        for name in ("file", "plugins", "job", "source", "batch", "submit", "budget", "retry", "sink", "notify")
    },
    "exit codes": exits,
    "words": words,
    "hooks": hook_pages.index,
    "commands": commands,
}


def rewritten(page: str) -> str:
    """Make every block of a page anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found['name']]()}\n{found[3]}", page)


def stale() -> Iterator[tuple[Path, str]]:
    """Find the pages that are not what the code says, and what they should be."""
    written = {path: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*/*.md"))}
    made = {path: rewritten(text) for path, text in written.items()}
    made |= {DOCS / "reference" / DRAWN: drawing.page(), **hook_pages.pages()}
    yield from ((path, text) for path, text in made.items() if text != written.get(path))


def main(*, check: bool) -> int:
    """Write the pages, or name those that are behind."""
    found = list(stale())
    for path, text in found:
        if check:
            print(f"{path} is behind the code; type: uv run python scripts/reference.py", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
