"""A plugin that is not packaged: one module, handed to `Batchflow(plugins=...)`.

What it registers is made by name like a built-in part, and its signature is its configuration.
"""

from pathlib import Path
from typing import Annotated

from anyio import to_thread

from batchflow.plugin import Doc, Event, Part, Promise, Receipt, Register, SinkContext, hookimpl


class Notebook:
    """One Markdown file, a heading per answer."""

    promise: Promise = "at_least_once"  # a part whose receipt was lost is written again below

    def __init__(self, path: Path) -> None:
        self._path = path

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Nothing to make ready."""

    async def write(self, part: Part) -> Receipt:
        """Write a part in one piece, so that no half of it is left by a failure in the middle."""
        answers = [f"# {result.key}\n\n{result.text}\n" async for results in part.rows for result in results]
        await to_thread.run_sync(self._append, "\n".join(answers))
        return {"answers": len(answers)}

    async def close(self) -> None:
        """Nothing to let go of."""

    def _append(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)


def notebook(*, path: Annotated[Path, Doc("The Markdown file to add to.")]) -> Notebook:
    """A Markdown file, a heading per answer."""
    return Notebook(path)


@hookimpl
def register_sinks(register: Register) -> None:
    """Hand over the notebook."""
    register("notebook", notebook)


@hookimpl
def on_event(event: Event) -> None:
    """Print what was committed."""
    print(f"house heard: {event.kind}")
