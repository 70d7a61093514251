"""Whose code a thread is in: found from its stack, when it has stood still for too long."""

from types import FrameType

from batchflow.model.stack import top_frame
from batchflow.stages.wall import shown

OURS = frozenset({"batchflow", "asyncio", "anyio"})
WAITING = "threading"
"""Whoever waits is in this module, we as well as others: it matters who called it."""


def frames(thread: int) -> list[FrameType]:
    """Give a thread's stack, the innermost frame first."""
    frame = top_frame(thread)
    found: list[FrameType] = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def culprit(stack: list[FrameType]) -> str:
    """Name the function of others that ours has called, and the line it is at; empty where the innermost code is ours."""
    entered: FrameType | None = None
    for frame in stack:
        if _module(frame) in OURS:
            break
        entered = frame
    if entered is None or _module(entered) == WAITING:
        return ""
    code = entered.f_code
    return f"{shown(code.co_filename)}:{entered.f_lineno}, in {code.co_qualname}"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
