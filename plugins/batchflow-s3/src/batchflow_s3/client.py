"""The edge to aioboto3: what we use of it, typed here once, since the library has no types of its own."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import IO, Any, Protocol, cast

import anyio

from batchflow_s3.place import Access

Reply = dict[str, Any]


class Body(Protocol):
    """The bytes of an object, on their way."""

    async def read(self, amount: int, /) -> bytes:
        """Gives up to so many; none at all is the end."""
        ...

    def close(self) -> None:
        """Breaks the connection off, or gives it back."""
        ...


class Paginator(Protocol):
    """Asks again for as long as there is more."""

    def paginate(self, **asked: Any) -> AsyncIterator[Reply]:
        """Gives reply after reply."""
        ...


class Client(Protocol):
    """The calls we make. Names and arguments are S3's own."""

    async def put_object(self, *, Body: IO[bytes] | bytes, **asked: Any) -> Reply: ...  # noqa: N803
    async def get_object(self, **asked: Any) -> Reply: ...
    async def head_object(self, **asked: Any) -> Reply: ...
    async def list_objects_v2(self, **asked: Any) -> Reply: ...
    async def delete_object(self, **asked: Any) -> Reply: ...
    async def create_multipart_upload(self, **asked: Any) -> Reply: ...
    async def upload_part(self, *, Body: IO[bytes] | bytes, **asked: Any) -> Reply: ...  # noqa: N803
    async def upload_part_copy(self, **asked: Any) -> Reply: ...
    async def complete_multipart_upload(self, **asked: Any) -> Reply: ...
    async def abort_multipart_upload(self, **asked: Any) -> Reply: ...
    def get_paginator(self, name: str) -> Paginator: ...


class Server:
    """Makes clients. What the library reads from its own files for the first is kept for the others."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: Any = None

    def connect(self) -> AbstractAsyncContextManager[Client]:
        """Makes a client. Keys are found as every AWS tool finds them: environment, profile, container, instance."""
        from botocore.config import Config  # half a second and 25 MB that only a job with a bucket pays

        self._session = self._session or _session()
        style = {"addressing_style": "path"} if self._access.path_style else {}
        made = self._session.client(
            "s3",
            endpoint_url=self._access.endpoint_url,
            region_name=self._access.region,
            config=Config(s3=style),
        )
        return cast("AbstractAsyncContextManager[Client]", made)


def _session() -> Any:
    import aioboto3
    from aiobotocore.session import AioSession

    from batchflow_s3.lean import loader

    session: Any = AioSession()
    session.register_component("data_loader", loader(session.get_config_variable("data_path")))
    return aioboto3.Session(botocore_session=session)


class Line:
    """One client, made when it is first asked for, and given up at most once. Any number of tasks may use it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stack = AsyncExitStack()
        self._lock = anyio.Lock()
        self._client: Client | None = None

    async def client(self) -> Client:
        """Gives the client."""
        if self._client is None:
            async with self._lock:
                if self._client is None:
                    self._client = await self._stack.enter_async_context(self._server.connect())
        return self._client

    async def close(self) -> None:
        """Lets go of every connection, also for somebody who was cancelled."""
        with anyio.CancelScope(shield=True):
            self._client = None
            await self._stack.aclose()
