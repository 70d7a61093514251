"""Every error batchflow raises on purpose, in one tree.

    BatchflowError
      UserError         something the caller can mend
        ConfigError       the job file (it carries every problem at once), or a job declared in code
        UnknownComponent  no such source, builder, sink ...
        PluginError       a plugin failed; names distribution, hook, job, record
          PluginRaised      it raised something: that may pass
          PluginHung        it did not come back in time, and was given up
        RunRefused        the run may not start, or not like this
          Unpriced          a budget cannot be kept: the run pauses when all that is in flight has come home
      ProviderError     the API's side of the story
        Refused           definite: nothing was created by this call
          NoListing         there is no listing of batches at this provider
        Unreachable       definite: nothing left this machine
        ReplyLost         in doubt: something may have been created
        BadReply          a reply that cannot be read (never raised for a create: that is ReplyLost)
      StoreError
        Stale             somebody else changed it first
        OverCap           a budget or quota guard said no
        Locked            somebody else drives this run
        SchemaTooNew      the store was written by a newer batchflow
        StoreUnavailable  disk full, read-only, locked file
        ObjectDamaged     a stored object is missing or its checksum is wrong
      SourceError       wraps what a source raised, or says why it cannot be read
      SinkError         wraps what a sink raised, or says why it cannot be written
        SinkUnready       it could not even be opened, so nothing of its run was begun
      NotifyError       a notifier could not tell somebody; no run fails for that
        NotifyRefused     and another try would not help
      Bug               our own mistake
        IllegalTransition

Each class answers two questions: *again?* (now, later, never) and *whose fault?* (yours, theirs, ours).
A message says what happened, to which thing, what is known about money and data, and what to type next.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from batchflow.model.words import Word


class Again(StrEnum):
    """When trying again can help."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


class Fault(StrEnum):
    """Who can mend it."""

    YOURS = "yours"
    THEIRS = "theirs"
    OURS = "ours"


class BatchflowError(Exception):
    """The root of the tree. `hint` is the next thing to type or do."""

    again: ClassVar[Again] = Again.NEVER
    fault: ClassVar[Fault] = Fault.OURS

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(BatchflowError):
    """Can be mended by the caller."""

    fault = Fault.YOURS


class ConfigError(UserError):
    """The job file is wrong, or a job declared in code. Of a file, `problems` holds every one of them, already placed as file:line:col.

    `credentials` says that nothing is wrong but credentials which are not there.
    """

    def __init__(
        self, message: str, *, problems: Sequence[str] = (), hint: str = "", credentials: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)
        self.credentials = credentials


class UnknownComponent(UserError):
    """No component of that kind has that name."""


class PluginError(UserError):
    """A plugin failed. It stops its own job, not the others."""


class PluginRaised(PluginError):
    """A plugin raised what nobody expected. A service behind it may be back in a minute."""

    again = Again.LATER


class PluginHung(PluginError):
    """A plugin did not come back in time, and was given up."""


class RunRefused(UserError):
    """The run may not start, or not like this."""


class Unpriced(RunRefused):
    """A request names a model of no known price, and the job has a budget."""


class ProviderError(BatchflowError):
    """The API answered, or failed to."""

    fault = Fault.THEIRS

    def __init__(
        self,
        message: str,
        *,
        word: Word = Word.SERVER_ERROR,
        status: int | None = None,
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.word = word
        self.status = status
        self.retry_after = retry_after
        self.told = False
        """An event has told of it."""


class Refused(ProviderError):
    """The API said no, definitely: this call created nothing. `max_requests` is set when it names a smaller limit."""

    again = Again.LATER

    def __init__(
        self,
        message: str,
        *,
        word: Word,
        status: int | None = None,
        retry_after: float | None = None,
        max_requests: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, word=word, status=status, retry_after=retry_after, hint=hint)
        self.max_requests = max_requests


class NoListing(Refused):
    """The provider shows no listing of its batches: one can be asked for by its id only, and a lost id cannot be found."""

    again = Again.NEVER


class Unreachable(ProviderError):
    """Of a create: no byte of it left this machine. Of anything else: no answer came, and none is needed to be safe."""

    again = Again.LATER


class ReplyLost(ProviderError):
    """Something may have been created, and the reply that would say so is gone. Never send it again on this alone."""

    again = Again.LATER


class BadReply(ProviderError):
    """The reply cannot be read."""

    again = Again.LATER


class StoreError(BatchflowError):
    """The state store or blob store could not do it."""


class Stale(StoreError):
    """Somebody else changed it first: nothing of this change was written. `subject` is the id of what was changed."""

    again = Again.NOW

    def __init__(self, message: str, *, subject: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.subject = subject


class OverCap(StoreError):
    """A guard on the books said no: nothing of this change was written."""

    again = Again.LATER
    fault = Fault.YOURS


class Locked(StoreError):
    """Somebody else drives this run."""

    again = Again.LATER
    fault = Fault.YOURS


class SchemaTooNew(StoreError):
    """The store was written by a newer batchflow, which this one must not touch."""

    fault = Fault.YOURS


class StoreUnavailable(StoreError):
    """The store's file or folder cannot be used now: disk full, read-only, locked by another program."""

    again = Again.LATER
    fault = Fault.YOURS


class ObjectDamaged(StoreError):
    """A stored object is missing, short, or its checksum is wrong."""


class SourceError(BatchflowError):
    """A source cannot be read."""

    fault = Fault.YOURS


class SinkError(BatchflowError):
    """A sink cannot be written now; a part is tried again later."""

    again = Again.LATER
    fault = Fault.YOURS


class SinkRefused(SinkError):
    """A sink will not take this part however often it is tried: it waits for a person."""

    again = Again.NEVER


class SinkUnready(SinkError):
    """A sink of a new run cannot be opened: nothing was read, sent or paid."""

    again = Again.NEVER


class NotifyError(BatchflowError):
    """Somebody could not be told now; it is tried again, after so many seconds at least."""

    again = Again.LATER
    fault = Fault.THEIRS

    def __init__(self, message: str, *, after: float = 0.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.after = after


class NotifyRefused(NotifyError):
    """Somebody will not be told, however often it is tried."""

    again = Again.NEVER


class Bug(BatchflowError):
    """Our own mistake: please report it."""


class IllegalTransition(Bug):
    """An event came to a state that has no such arrow."""


def spoken(error: BaseException) -> str:
    """Say an error by its name and its text, where that can be had: to make the text of another's error is code of theirs, too."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as failed:  # noqa: BLE001 - whatever it is, it must not hide whose error this was
        return f"{type(error).__name__}: (its text cannot be had: {type(failed).__name__})"
