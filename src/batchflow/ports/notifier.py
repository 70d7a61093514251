"""Who tells people outside how a run stands."""

from typing import Protocol, runtime_checkable

from batchflow.model.notification import Notification


@runtime_checkable
class Notifier(Protocol):
    """Tells one thing at a time. It runs beside the driver, which never waits for it; nothing it raises fails a run."""

    async def notify(self, notification: Notification) -> None:
        """Tries once; `NotifyError` where another try may help, `NotifyRefused` where none will."""
        ...

    async def close(self) -> None:
        """Lets go; it may be called twice."""
        ...
