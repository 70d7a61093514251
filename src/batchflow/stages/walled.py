"""A store of others, behind the wall: whatever it raises that no store should comes out under its name, not as a mistake of ours."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import isawaitable
from typing import Any, TypeVar, cast

from batchflow.stages.wall import is_foreign, wall

T = TypeVar("T")


def walled(store: T) -> T:
    """Put a store behind the wall, if it is code of others and not behind it yet."""
    return cast("T", _Walled(store, store)) if is_foreign(store) and not isinstance(store, _Walled) else store


class _Walled:
    """Stands for an object of a store; `part` is who is named."""

    def __init__(self, inner: Any, part: object) -> None:
        self.__wrapped__ = inner
        self._part = part

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        return self._method(name, found) if callable(found) else found

    def _method(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        doing = f"in its `{name}`"

        def call(*given: Any, **named: Any) -> Any:
            with wall(self._part, doing):
                answer = method(*given, **named)
            if isawaitable(answer):
                return self._awaited(cast("Coroutine[Any, Any, Any]", answer), doing)
            if hasattr(answer, "__anext__"):
                return self._streamed(answer, doing)
            return self._entered(answer, doing) if hasattr(answer, "__aenter__") else answer

        return call

    async def _awaited(self, answer: Coroutine[Any, Any, Any], doing: str) -> Any:
        with wall(self._part, doing):
            return await answer

    async def _streamed(self, pieces: AsyncIterator[Any], doing: str) -> AsyncGenerator[Any]:
        try:
            while True:
                with wall(self._part, doing):
                    try:
                        piece = await anext(pieces)
                    except StopAsyncIteration:
                        return
                yield piece
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    @asynccontextmanager
    async def _entered(self, manager: AbstractAsyncContextManager[Any], doing: str) -> AsyncGenerator[Any]:
        """What happens inside is not its fault, and goes through it unnamed."""
        with wall(self._part, doing):
            inner = await manager.__aenter__()
        try:
            yield _Walled(inner, self._part)
        except BaseException as error:
            if not await manager.__aexit__(type(error), error, error.__traceback__):
                raise
        else:
            with wall(self._part, doing):
                await manager.__aexit__(None, None, None)
