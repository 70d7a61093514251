"""What one reading has in hand: the place it stands at, and what it gave out that is not acknowledged yet."""

from collections import deque
from collections.abc import Iterable

import msgspec

from batchflow.plugin import Cursor
from batchflow_redis.group import BEGINNING


class Mark(msgspec.Struct, frozen=True):
    """The place from which the next page is read: whoever stands here has everything before it committed.

    Before it are all earlier rounds, and this one up to `last`. `rest` names the next page, entry by entry, if a page is
    begun: a run that stops in the middle of a page counts the entries it has taken, so each must stand where it stood.
    """

    name: str
    round: int = 1
    last: str = BEGINNING
    rest: tuple[str, ...] = ()

    def cursor(self) -> Cursor:
        """The same as JSON."""
        return {"name": self.name, "round": self.round, "last": self.last, "rest": list(self.rest)}

    def behind(self, ids: tuple[str, ...], rest: tuple[str, ...] = ()) -> "Mark":
        """The place behind some entries of this round."""
        return Mark(self.name, self.round, ids[-1], rest)


class Hand:
    """Entries given out and not yet acknowledged, in the order in which they were given."""

    def __init__(self, start: Mark) -> None:
        self.start = start
        self.proven = False
        """What lies before the start has been acknowledged."""
        self.rounds = {start.round}
        self._given: deque[tuple[str, str]] = deque()
        self._resumed = set(start.rest)

    def give(self, keyed: Iterable[tuple[str, str]]) -> None:
        """Remember keys and the ids they came under."""
        self._given.extend(keyed)

    def take_back(self, keys: list[str]) -> list[str]:
        """Tell which ids were committed with these keys. They come in the order in which they were given; one told before is passed over."""
        done = self._passed_over(keys[0]) if keys and self._resumed else []
        for key in keys:
            if self._given and self._given[0][0] == key:
                done.append(self._given.popleft()[1])
        return done

    def _passed_over(self, first: str) -> list[str]:
        """The beginning of a page that an earlier process committed before it died: nobody tells of that again."""
        resumed, self._resumed = self._resumed, set[str]()
        if all(key != first for key, _ in self._given):
            self._resumed = resumed
            return []
        done: list[str] = []
        while self._given[0][0] != first and self._given[0][1] in resumed:
            done.append(self._given.popleft()[1])
        return done
