"""Reads a receipt that a sink gave earlier."""

from typing import TypeVar

import msgspec

from batchflow.builtin.sinks.diagnosis import SAFE
from batchflow.model.errors import SinkError
from batchflow.ports.sink import Receipt

T = TypeVar("T", bound=msgspec.Struct)


def known(last: Receipt | None, shape: type[T]) -> T | None:
    """Gives the receipt its type, or says that it is none of this sink's."""
    if last is None:
        return None
    try:
        return msgspec.convert(last, shape)
    except msgspec.ValidationError as error:
        raise SinkError(
            f"the last receipt was not given by this kind of sink: {error}. Nothing was touched. {SAFE}",
            hint="give the sink the `type` it had when the run began, then run `batchflow resume`",
        ) from error
