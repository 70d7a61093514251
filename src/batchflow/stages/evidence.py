"""Whose batch is it? Read the token from the first result line of batches that ended."""

from collections.abc import Iterable

from batchflow.machine.address import split_id
from batchflow.model.errors import ProviderError
from batchflow.model.remote import RemoteBatch
from batchflow.stages.kit import Kit


class Evidence:
    """Tokens read so far, by remote id. A cache: reading one again costs a call, not money."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}

    async def read(self, kit: Kit, remotes: Iterable[RemoteBatch]) -> None:
        """Read the tokens of ended batches that are not known yet."""
        for remote in remotes:
            if remote.ended and not remote.archived and remote.id not in self.tokens:
                token = await _first_token(kit, remote.id)
                if token is not None:
                    self.tokens[remote.id] = token


async def _first_token(kit: Kit, remote: str) -> str | None:
    """Read the first whole line of a results file, and no more of it; None when it cannot be read now."""
    pieces = kit.provider.results(remote)
    head = bytearray()
    try:
        async for piece in pieces:
            head += piece
            line, newline, _ = bytes(head).partition(b"\n")
            if newline and line.strip():
                return split_id(kit.provider.read([line])[0].custom_id)[0]
            if newline:
                head = bytearray(bytes(head).lstrip())
    except ProviderError:
        return None
    finally:
        await pieces.aclose()
    return split_id(kit.provider.read([bytes(head)])[0].custom_id)[0] if head.strip() else None
