"""A notifier. In a job file: `notify: [{type: pager}]`."""

import anyio

from batchflow import Plugins
from batchflow.plugin import Notification, Register, hookimpl


class Pager:
    """Keeps what it should say. A real one raises `NotifyError` where another try may help."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def notify(self, notification: Notification) -> None:
        self.said.append(f"{notification.job} {notification.kind}: {notification.reason}")

    async def close(self) -> None: ...


def pager() -> Pager:
    """Tell whoever is on call."""
    return Pager()


class House:
    @hookimpl
    def register_notifiers(self, register: Register) -> None:
        register("pager", pager)


async def page() -> None:
    made = Plugins([House()]).notifier("pager")()
    assert isinstance(made, Pager)
    await made.notify(
        Notification(
            id="n1",
            kind="paused",
            at=0.0,
            job="triage",
            run="r1",
            status="paused",
            reason="no credit",
            counts={},
            money={},
            next="batchflow resume",
        )
    )
    assert made.said == ["triage paused: no credit"]


anyio.run(page)
