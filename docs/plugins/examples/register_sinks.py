"""A sink that prints. In a job file: `sinks: [{type: screen, mark: "* "}]`."""

from typing import Annotated

from batchflow import Plugins
from batchflow.plugin import Doc, Part, Promise, Receipt, Register, SinkContext, hookimpl


class Screen:
    """Prints a line a row."""

    promise: Promise = "at_least_once"  # what was printed before a crash is printed again

    def __init__(self, mark: str) -> None:
        self._mark = mark

    async def open(self, context: SinkContext, last: Receipt | None) -> None: ...

    async def write(self, part: Part) -> Receipt:
        async for rows in part.rows:
            print("\n".join(f"{self._mark}{row.key}: {row.text}" for row in rows))
        return {"part": part.name}

    async def close(self) -> None: ...


def screen(*, mark: Annotated[str, Doc("What each line begins with.")] = "") -> Screen:
    """Print answers."""
    return Screen(mark)


class House:
    @hookimpl
    def register_sinks(self, register: Register) -> None:
        register("screen", screen)


assert Plugins([House()]).sink("screen")(mark="* ").promise == "at_least_once"
