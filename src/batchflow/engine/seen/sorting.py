"""Sorts any number of entries of one width, on disk."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from batchflow.engine.seen.runs import Run, merge, write_run

FAN = 16


class Sorting:
    """Takes entries in any order and gives them back sorted, once."""

    def __init__(self, folder: Path, name: str, *, width: int, limit: int) -> None:
        self._folder = folder
        self._name = name
        self._width = width
        self._limit = limit
        self._recent: list[bytes] = []
        self._runs: list[Run] = []
        self._made = 0

    def add(self, entries: Iterable[bytes]) -> None:
        """Takes some entries."""
        self._recent += entries
        if len(self._recent) >= self._limit:
            self._flush()

    def sorted(self) -> Iterator[list[bytes]]:
        """Yields all entries in order, a list at a time, and removes what lay on disk."""
        self._flush()
        yield from merge(self._runs, self._width)
        self.close()

    def close(self) -> None:
        """Removes what lies on disk."""
        while self._runs:
            run = self._runs.pop()
            run.close()
            run.path.unlink()

    def _flush(self) -> None:
        self._recent.sort()
        self._write(0, [b"".join(self._recent)])
        self._recent = []
        for tier in range(self._runs[-1].facts.tier + 1, 64):
            full = [run for run in self._runs if run.facts.tier == tier - 1]
            if len(full) < FAN:
                return
            self._runs = [run for run in self._runs if run not in full]
            self._write(tier, map(b"".join, merge(full, self._width)))
            for run in full:
                run.close()
                run.path.unlink()

    def _write(self, tier: int, blocks: Iterable[bytes]) -> None:
        self._made += 1
        self._runs.append(write_run(self._folder, f"{self._name}.{self._made:06}.run", tier, blocks, width=self._width))
