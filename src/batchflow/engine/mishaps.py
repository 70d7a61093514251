"""What goes wrong in a step, sorted: for later, for a person, or for good."""

from collections.abc import Callable

from batchflow.engine.lease import DriverLease
from batchflow.engine.trouble import Trouble
from batchflow.machine.batch import RESERVING
from batchflow.machine.run import Broke
from batchflow.model import errors
from batchflow.model.state import Batch
from batchflow.model.words import Word
from batchflow.ports.clock import Clock
from batchflow.stages.kit import Kit
from batchflow.stages.submit import pause
from batchflow.stages.wall import blame, of_job, raised_in


class Mishaps:
    """Sorts the errors of one run's steps. `fail` ends its driving with an error; `stick` only ends the packing of requests."""

    def __init__(
        self,
        kit: Kit,
        clock: Clock,
        lease: DriverLease,
        *,
        fail: Callable[[errors.BatchflowError], None],
        stick: Callable[[str], None],
    ) -> None:
        self._kit = kit
        self._clock = clock
        self._lease = lease
        self._fail = fail
        self._stick = stick
        self._trouble = Trouble(kit.parts.rules.submit.patience)

    @property
    def not_before(self) -> float:
        """When the provider is to be asked again; a time that has passed when nothing is wrong with it."""
        return self._trouble.not_before

    async def sort(self, name: str, error: Exception) -> None:
        """Sort what went wrong in a step: for later, for a person, or for good."""
        try:
            match error:
                case errors.Stale() if name != "read":
                    await self.outdated(error)
                case errors.ProviderError():
                    await self._troubled(name, error)
                case errors.Locked():
                    self._fail(error)
                case errors.IllegalTransition() if not await self._lease.renew(self._fail):
                    return  # Somebody else has taken it further; no mistake of ours.
                case errors.Unpriced():
                    self._stick(f"{error.message}. {error.hint}")
                case errors.PluginError():
                    await self._broke(of_job(self._kit.parts.name, error))
                case errors.BatchflowError():
                    # A reader that could not commit has items in hand that nobody else has: only a new one may go on.
                    await self._broke(error)
                case _ if (part := self._raised_in(error)) is not None:
                    await self._broke(of_job(self._kit.parts.name, blame(part, f"in the step `{name}`", error)))
                case _:
                    await self._broke(unexpected(name, error))
        except errors.BatchflowError as worse:
            self._fail(worse)

    async def outdated(self, error: errors.BatchflowError) -> None:
        """Look again, since somebody else was quicker; one whose lease is not held is told so at once."""
        if isinstance(error, errors.Stale) and not error.subject:
            await self._lease.renew(self._fail)

    async def answered(self, name: str) -> None:
        """Forget what was wrong with the provider; whoever was told of it is told that it is over."""
        self._trouble.passed()
        lasted = self._trouble.over(_asks_for(name), self._clock.now())
        if lasted is not None:
            await self._kit.commit(self._kit.event("provider.recovered", text=f"after {lasted:.0f} s"))

    def _raised_in(self, error: Exception) -> object | None:
        """Find which of the parts of others that no wall stands before has raised it."""
        kit = self._kit
        return raised_in(error, (kit.provider, kit.store, kit.blobs, kit.prices))

    async def _troubled(self, name: str, error: errors.ProviderError) -> None:
        """Bear with a provider that does not answer, for as long as the job's patience lasts."""
        self._trouble.failed(error, self._clock.now())
        if error.word in {Word.UNAUTHORIZED, Word.NO_CREDIT}:
            await pause(self._kit, error)
            return
        if not error.told and self._trouble.is_news(_asks_for(name), self._clock.now()):
            await self._kit.commit(self._kit.event("provider.failing", text=error.message))
        fresh = not await self._kit.store.find(Batch, {"run": self._kit.run, "state": list(RESERVING)}, limit=1)
        if self._trouble.unbearable(self._clock.now(), fresh=fresh):
            await pause(self._kit, error)

    async def _broke(self, error: errors.BatchflowError) -> None:
        """End the run as failed, resumable; a store that cannot take even that changes nothing about the first error."""
        self._fail(error)
        try:
            await self._kit.step_run(Broke(error.message), self._kit.event("run.failed", self._kit.run, error.message))
        except errors.BatchflowError:
            return


def _asks_for(step: str) -> str:
    """Say what a step asks the provider for: each may fail for itself while the other goes well."""
    return "results" if step == "collect" else "listings"


def unexpected(name: str, error: Exception) -> errors.Bug:
    """Own up to an error that nobody has a place for."""
    bug = errors.Bug(
        f"the step `{name}` met an error that nobody expected ({type(error).__name__}: {error}). What was committed is kept",
        hint="please report it; then run the same command again: it goes on from what was committed",
    )
    bug.__cause__ = error
    return bug
