"""A notifier: a line of JSON in a file for each thing that happened. Put your own pager or channel where `_add` is."""

import json
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from batchflow.plugin import Doc, Notification, NotifyError


class Notebook:
    """Tells whoever reads a file. A notification bears an id, by which one that comes twice is known."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def notify(self, notification: Notification) -> None:
        """Tell one thing, off the event loop. `NotifyError` is tried again, `NotifyRefused` is not."""
        told = {
            "id": notification.id,
            "job": notification.job,
            "run": notification.run,
            "what": notification.kind,
            "status": notification.status,
            "reason": notification.reason,
            "counts": notification.counts,
            "next": notification.next,
        }
        try:
            await to_thread.run_sync(self._add, json.dumps(told, ensure_ascii=False))
        except OSError as error:
            raise NotifyError(f"{self._path} cannot be written: {error.strerror or error}") from error

    async def close(self) -> None:
        """Let go: nothing is held."""

    def _add(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def notifier(*, path: Annotated[Path, Doc("The file; it is made if missing.")]) -> Notebook:
    """Write how runs stand into a file."""
    return Notebook(path)
