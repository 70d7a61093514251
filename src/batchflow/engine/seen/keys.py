"""Tells which keys have come before, in bounded memory, and remembers across a crash exactly what was checkpointed.

Theory. Every key's 128-bit hash goes to the end of a *journal*, in the order of the source, and the new ones into a set.
When the journal is full, the set is written as a sorted *run*, and a new journal begins. Eight runs of a tier
become one of the next, so ten million keys lie in about a dozen files.

A checkpoint says how many keys are committed. Runs whose keys all are become part of the *mark*; so does the journal's
committed beginning. Whatever else is found on opening was never committed and goes. Nothing is synced: what a kill leaves
is whole, and what a power cut spoils is found out by its checksums and made again.
"""

import secrets
from collections.abc import Iterable, Sequence
from itertools import compress
from pathlib import Path
from typing import BinaryIO

import xxhash

from batchflow.engine.seen.filter import Filter, table_size
from batchflow.engine.seen.mark import NAME, WIDTH, Mark, journal, read_mark, write_mark
from batchflow.engine.seen.runs import Damaged, Run, merge, open_run, split, write_run
from batchflow.engine.seen.scratch import make_private, scratch

LIMIT = 32_768
"""Hashes in memory: about 4 MB. Half as many cost a third more time a key."""

FAN = 8


class SeenKeys:
    """The keys of one run of a job. Everything here blocks: `add_page` hardly, `checkpoint` for as long as a merge takes.

    `label` is what the last checkpoint was called. None says that nothing is known, for the folder is new or damaged:
    `rebuild` it from the committed keys.
    """

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        with scratch(folder):
            make_private(folder)
            self._load()

    @property
    def label(self) -> str | None:
        """What the last checkpoint was called."""
        return self._mark.label

    def add_page(self, keys: Sequence[str]) -> list[bool]:
        """Tells for each key whether it came before, and adds it."""
        seed = self._mark.seed
        digests = [xxhash.xxh3_128_digest(key.encode(), seed) for key in keys]
        packed = b"".join(digests)
        with scratch(self._folder):
            stored = {digest for digest in compress(digests, self._filter.may_hold(packed)) if self._stored(digest)}
            seen = self._note(digests, stored)
            self._journal.write(packed)
            self._added += len(digests)
            if self._added - self._begun >= self._limit:
                self._roll()
        return seen

    def checkpoint(self, label: str, *, keys: int | None = None) -> None:
        """Makes the next `keys` of those added since the last checkpoint, or all, survive a restart, under a label.

        A batch may end in the middle of a page: then the rest of the page is not committed with it, and will be read
        and added again after a crash.
        """
        waiting = self._added - self._mark.committed
        if keys is not None and not 0 <= keys <= waiting:
            raise ValueError(f"{keys} keys cannot be committed: {waiting} were added since the last checkpoint")
        with scratch(self._folder):
            self._commit(label, self._mark.committed + (waiting if keys is None else keys))

    def rebuild(self, pages: Iterable[Sequence[str]], label: str) -> None:
        """Forgets everything and learns the committed keys again."""
        self.forget()
        for page in pages:
            self.add_page(page)
            if self._loose:
                with scratch(self._folder):
                    self._commit(None, self._added)
        self.checkpoint(label)

    def forget(self) -> None:
        """Forgets everything."""
        self.close()
        with scratch(self._folder):
            (self._folder / NAME).unlink(missing_ok=True)
            self._load()

    def close(self) -> None:
        """Lets go of all files; it may be called twice. What was not checkpointed is lost."""
        self._journal.close()
        for run in (*self._runs, *(run for _, run in self._loose)):
            run.close()
        self._runs, self._loose = [], []

    def _load(self) -> None:
        """Takes up what was checkpointed, and removes everything else."""
        self._runs: list[Run] = []
        self._loose: list[tuple[int, Run]] = []
        try:
            self._mark, recent = read_mark(self._folder)
            for facts in self._mark.runs:
                self._runs.append(open_run(self._folder, facts, width=WIDTH))
        except Damaged:
            for run in self._runs:
                run.close()
            self._mark, recent, self._runs = Mark(secrets.randbits(64)), b"", []
        self._recent: set[bytes] = set(split(recent, WIDTH))
        self._added, self._begun = self._mark.committed, self._mark.base
        self._sweep()
        self._journal = self._open_journal(self._mark.tail)
        self._filter = Filter(0)
        self._refill(self._runs)

    def _sweep(self) -> None:
        """Removes what no checkpoint names."""
        named = {journal(self._mark.base), *(facts.name for facts in self._mark.runs)}
        for path in self._folder.iterdir():
            if path.name not in named and path.suffix in {".run", ".journal", ".new"}:
                path.unlink()

    def _open_journal(self, size: int) -> BinaryIO:
        """Opens the journal in use, behind so many bytes that are committed."""
        file = (self._folder / journal(self._begun)).open("ab")
        file.truncate(size)
        return file

    def _note(self, digests: list[bytes], stored: set[bytes]) -> list[bool]:
        """Adds hashes to the recent ones, and tells which of them were there or are stored."""
        fresh = set(digests)
        if len(fresh) == len(digests) and not stored and fresh.isdisjoint(self._recent):
            self._recent |= fresh
            return [False] * len(digests)
        seen: list[bool] = []
        for digest in digests:
            known = digest in stored or digest in self._recent
            if not known:
                self._recent.add(digest)
            seen.append(known)
        return seen

    def _stored(self, digest: bytes) -> bool:
        return any(digest in run for run in self._runs) or any(digest in run for _, run in self._loose)

    def _roll(self) -> None:
        """Writes the recent keys as a run, and begins a new journal."""
        run = write_run(self._folder, f"{self._added:015}.0.run", 0, [b"".join(sorted(self._recent))], width=WIDTH)
        self._loose.append((self._added, run))
        self._recent = set()
        self._journal.close()
        self._begun = self._added
        self._journal = self._open_journal(0)
        self._refill([run])

    def _refill(self, new: Sequence[Run]) -> None:
        """Keeps the filter in step with the runs; when it is due, a larger one is made."""
        runs = [*self._runs, *(run for _, run in self._loose)]
        size = table_size(sum(run.facts.count for run in runs))
        if size != self._filter.size:
            self._filter, new = Filter(size), runs
        for run in new:
            self._filter.add(run.blocks())

    def _commit(self, label: str | None, committed: int) -> None:
        passed = [self._mark.base]
        while self._loose and self._loose[0][0] <= committed:
            upto, run = self._loose.pop(0)
            passed.append(upto)
            self._runs.append(run)
        merged = self._compact()
        self._journal.flush()
        facts = [run.facts for run in self._runs]
        self._mark = write_mark(self._folder, Mark(self._mark.seed, label, committed, passed.pop(), runs=facts))
        for run in merged:
            run.close()
            run.path.unlink()
        for base in passed:
            (self._folder / journal(base)).unlink()

    def _compact(self) -> list[Run]:
        """Merges the runs of every tier that is full; gives those that are no longer needed."""
        merged: list[Run] = []
        tier = 0
        while len(full := [run for run in self._runs if run.facts.tier == tier]) >= FAN:
            tier += 1
            name = f"{full[-1].facts.name.partition('.')[0]}.{tier}.run"
            whole = write_run(self._folder, name, tier, map(b"".join, merge(full, WIDTH)), width=WIDTH)
            self._runs = [*(run for run in self._runs if run.facts.tier != tier - 1), whole]
            merged += full
        return merged
