"""Whose batch is it? Read the token from the first result lines of batches that ended.

One line would do for a sound file. But a line that cannot be read, or one that strayed in from elsewhere, must not make us
disown a batch that we paid for; so a token of ours among the first lines counts for more than the first line.
"""

from collections.abc import AsyncGenerator, Collection, Iterable

from batchflow.machine.address import split_id
from batchflow.model.errors import ProviderError
from batchflow.model.remote import RemoteBatch
from batchflow.stages.kit import Kit

LINES = 100
"""So many lines are looked at for a token of ours."""
HEAD = 4 << 20
"""So many bytes of a file are read for them, and more only where a single line is longer."""


class Evidence:
    """What this process has learnt of batches that nobody knows. A cache: learning it again costs calls and time, not money."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        """Tokens read so far, by remote id."""
        self.shown: dict[str, RemoteBatch] = {}
        """Candidates that a listing has shown: one that a later listing leaves out is still there."""
        self.lists = False
        """A listing has shown something, so an empty one is no stub."""
        self._since: dict[str, float] = {}

    def looked(self, kit: Kit, token: str) -> float:
        """Tell for how many seconds this process has been looking for a lost call.

        Not since when it is lost: a wall clock that was set forward would make a late batch absent, and it would be paid
        again; and a process that was not there has not looked.
        """
        return kit.boot() - self._since.setdefault(token, kit.boot())

    async def read(self, kit: Kit, remotes: Iterable[RemoteBatch], ours: Collection[str]) -> None:
        """Read the tokens of ended batches that are not known yet."""
        for remote in remotes:
            if remote.ended and not remote.archived and remote.id not in self.tokens:
                token = await _token(kit, remote.id, ours)
                if token is not None:
                    self.tokens[remote.id] = token


async def _token(kit: Kit, remote: str, ours: Collection[str]) -> str | None:
    """Find a token of ours among the first lines, else give the first that can be read; None when none can be now."""
    first = None
    lines = _first_lines(kit, remote)
    try:
        async for line in lines:
            answer = kit.provider.read([line])[0]
            token = split_id(answer.custom_id)[0]
            if token in ours:
                return token
            if answer.word is not None and first is None:
                first = token
    except ProviderError:
        return None
    finally:
        await lines.aclose()
    return first


async def _first_lines(kit: Kit, remote: str) -> AsyncGenerator[bytes]:
    """Yield the first whole lines of a results file, and read not much more of it."""
    pieces = kit.provider.results(remote)
    rest, left, size = list[bytes](), LINES, 0
    try:
        async for piece in pieces:
            size += len(piece)
            head, newline, tail = piece.rpartition(b"\n")
            if not newline:
                rest.append(piece)
                continue
            lines = [line for line in b"".join([*rest, head]).split(b"\n") if line.strip()]
            for line in lines[:left]:
                yield line
            rest, left = [tail], left - len(lines)
            if left <= 0 or size > HEAD:
                return
        if last := b"".join(rest).strip():
            yield last
    finally:
        await pieces.aclose()
