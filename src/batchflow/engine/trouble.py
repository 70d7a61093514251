"""How long a provider has been out of reach, and when to ask it again."""

from batchflow.machine.backoff import backoff
from batchflow.machine.cadence import LONGEST_HINT
from batchflow.model.errors import ProviderError
from batchflow.model.words import Word

FRESH_PATIENCE = 30.0


class Trouble:
    """Counts failures in a row. A cache: a restart asks at once."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None
        self._failures = 0
        self.not_before = 0.0
        self.last: ProviderError | None = None
        self._told: dict[str, float] = {}
        """Kinds of calls of whose failing somebody was told, and since when."""

    def failed(self, error: ProviderError, now: float) -> None:
        """Count a failure, and put the next try off. Being told to wait is an answer: it never wears patience out."""
        if error.word is not Word.RATE_LIMITED:
            self._since = now if self._since is None else self._since
        self.not_before = now + max(min(error.retry_after or 0.0, LONGEST_HINT), backoff(self._failures))
        self._failures += 1
        self.last = error

    def passed(self) -> None:
        """Forget: the provider answers."""
        self._since, self._failures, self.not_before, self.last = None, 0, 0.0, None

    def is_news(self, calls: str, now: float) -> bool:
        """Tell whether calls of a kind begin to fail: then somebody should hear of it, and not of each of them."""
        if calls in self._told:
            return False
        self._told[calls] = now
        return True

    def over(self, calls: str, now: float) -> float | None:
        """Tell for how long calls of a kind had failed that go well now; None where nobody was told."""
        since = self._told.pop(calls, None)
        return None if since is None else now - since

    def unbearable(self, now: float, *, fresh: bool) -> bool:
        """Tell whether it has lasted too long: sooner where nothing is in flight that could be lost sight of."""
        patience = min(self._patience, FRESH_PATIENCE) if fresh else self._patience
        return self._since is not None and now - self._since >= patience
