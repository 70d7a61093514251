"""A place to show progress, and the loop that keeps it up to date."""

import sys
from collections.abc import Sequence
from typing import Protocol

import anyio

from batchflow.model.state import Event
from batchflow.reports.pulse import Pulse, Watch


class Screen(Protocol):
    """Shows how runs go on."""

    @property
    def every(self) -> float | None:
        """Seconds after which it wants to be shown the books again; None where events say all."""
        ...

    def event(self, job: str, event: Event) -> None:
        """Tells of something that was committed."""
        ...

    def show(self, pulses: Sequence[Pulse]) -> None:
        """Shows where all runs stand."""
        ...

    def say(self, text: str) -> None:
        """Says something else."""
        ...

    def close(self) -> None:
        """Leaves the terminal as it is fit to be left."""
        ...


def screen(*, quiet: bool = False) -> Screen:
    """Choose a screen for this standard error."""
    if sys.stderr.isatty() and not quiet:
        from batchflow.cli.progress.panel import Panel

        return Panel()
    from batchflow.cli.progress.lines import Lines

    return Lines()


async def follow(watches: Sequence[Watch], screen: Screen) -> None:
    """Show where runs stand, for ever."""
    while screen.every is not None:
        await look(watches, screen)
        await anyio.sleep(screen.every)


async def look(watches: Sequence[Watch], screen: Screen) -> None:
    """Show where runs stand now."""
    screen.show([pulse for watch in watches if (pulse := await watch.look()) is not None])
