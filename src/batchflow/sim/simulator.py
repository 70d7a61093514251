"""The Python face: a simulator as a context manager, for tests, the demo and the command line.

It runs on a thread of its own, so it is the same thing to synchronous code, to code inside an event loop and to
another process: something at a URL.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from anyio import to_thread

from batchflow.sim.answers import Answerer
from batchflow.sim.batches import Batch
from batchflow.sim.clock import SimClock
from batchflow.sim.faults import FaultPlan
from batchflow.sim.http import Api
from batchflow.sim.server import ThreadServer
from batchflow.sim.world import Heard, Listener, Settings, World

Result = TypeVar("Result")


class Simulator:
    """The Message Batches API on loopback: `with Simulator(seed=1, speed=3600) as sim: ... sim.url`.

    `speed` is virtual seconds per real second (0: time stands still until `clock.advance`); `duration` is how many
    virtual seconds a batch takes, give or take `jitter`; `start` sets the virtual clock (seconds since the epoch). `clock`
    is a clock of your own, in place of both.
    `keys` maps API keys to "workspace" or "organisation/workspace" and makes all others invalid; without it every key
    is good and alone in its own workspace. `answer` writes the text of answers in place of the made-up ones; `on_call`
    is told of every call, on the server's thread.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        start: float | None = None,
        clock: SimClock | None = None,
        duration: float = 1800.0,
        jitter: float = 0.2,
        cancel_delay: float = 25.0,
        cache_misses: float = 0.3,
        keys: Mapping[str, str] | None = None,
        strict_schemas: bool = False,
        max_bytes: int = 256_000_000,
        html_413: bool = False,
        faults: FaultPlan | None = None,
        answer: Answerer | None = None,
        on_call: Listener | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.clock = clock or SimClock(speed=speed, start=start)
        settings = Settings(
            seed=seed,
            duration=duration,
            jitter=jitter,
            cancel_delay=cancel_delay,
            cache_misses=cache_misses,
            keys=keys,
            strict_schemas=strict_schemas,
            max_bytes=max_bytes,
            html_413=html_413,
        )
        self._world = World(settings, self.clock, faults or FaultPlan(), write=answer, listener=on_call)
        self._where = (host, port)
        self._server: ThreadServer | None = None

    @property
    def url(self) -> str:
        """The base URL for clients."""
        server = self._running()
        host = f"[{server.host}]" if ":" in server.host else server.host
        return f"http://{host}:{server.port}"

    @property
    def batches(self) -> list[Batch]:
        """The batches on the server, oldest first."""
        return self._call(lambda: list(self._world.shelf))

    @property
    def calls(self) -> list[Heard]:
        """The last thousand calls, oldest first."""
        return self._call(lambda: list(self._world.heard))

    def stats(self) -> dict[str, Any]:
        """What GET /_sim/stats answers."""
        return self._call(self._world.stats)

    def finish(self) -> None:
        """Turns the clock to where every batch that can end has ended."""
        self._call(self._world.finish)

    def set_faults(self, plan: FaultPlan) -> None:
        """Replaces the fault plan; calls are counted from here on, and attempts too unless the same rows are to fail."""
        self._call(lambda: self._world.replan(plan))

    def reset(self, plan: FaultPlan | None = None) -> None:
        """Forgets all batches and counters."""
        self._call(lambda: self._world.reset(plan or FaultPlan()))

    def start(self) -> Self:
        """Starts serving; the context manager does it for you."""
        self._server = self._make_server()
        self._world.watch(self._server.connections)
        self._server.start()
        return self

    def stop(self) -> None:
        """Stops serving and drops all connections."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await to_thread.run_sync(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await to_thread.run_sync(self.stop)

    def _make_server(self) -> ThreadServer:
        host, port = self._where
        return ThreadServer(Api(self._world).app(), host=host, port=port)

    def _call(self, act: Callable[[], Result]) -> Result:
        return act() if self._server is None else self._server.call(act)

    def _running(self) -> ThreadServer:
        if self._server is None:
            raise RuntimeError("the simulator is not running: use it as `with Simulator() as sim:`")
        return self._server


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    on_ready: Callable[[str], None],
    stop: threading.Event | None = None,
    **options: Any,
) -> None:
    """Serves until `stop` is set or Ctrl-C; prints nothing, but tells `on_ready` the URL.

    `options` are those of Simulator.
    """
    with Simulator(host=host, port=port, **options) as simulator, contextlib.suppress(KeyboardInterrupt):
        on_ready(simulator.url)
        (stop or threading.Event()).wait()
