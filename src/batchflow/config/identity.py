"""What makes a job the same job: a hash for the machine, a summary for people. Neither holds a secret.

Part of the hash is whatever changes what is asked or where it goes, the contents of prompt files too. Budget, batch sizes,
retries, secrets and how a provider is reached are not: a run that ran out of budget must be able to go on under a larger
one, and a wrong address must be mendable. That what is in flight stays with its account is not this hash's business but
`stages.reopen`'s, which knows what is in flight.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import msgspec

from batchflow.config.job import Component, Outlet
from batchflow.model.rules import Rules
from batchflow.model.units import Secret

STARS = "***"


def identity(parts: Sequence[Component], sinks: Sequence[Outlet], rules: Rules, base: Path) -> str:
    """Hash everything that changes what is asked or where it goes."""
    whole = {
        "parts": [described(part, base) for part in parts],
        "sinks": [[sink.on, described(sink.sink, base)] for sink in sinks],
        "carry": rules.carry,
        "on_duplicate": rules.on_duplicate,
    }
    return blake2b(msgspec.json.encode(whole, order="deterministic"), digest_size=16).hexdigest()


def starred(options: Mapping[str, Any], secret: Collection[str]) -> dict[str, Any]:
    """Show options as they were written, with the secret ones starred."""
    return {name: _stars(value) if name in secret else value for name, value in options.items()}


def files_of(options: Any) -> Iterator[str]:
    """Find every `{file: PATH}` in a component's options."""
    match options:
        case {"file": str() as path} if len(cast("dict[str, Any]", options)) == 1:
            yield path
        case dict():
            for value in cast("dict[str, Any]", options).values():
                yield from files_of(value)
        case list():
            for value in cast("list[Any]", options):
                yield from files_of(value)
        case _:
            return


def described(part: Component, base: Path) -> dict[str, Any]:
    """Tell of a component what makes it the same: its type and options, but no secrets, and not how something is reached."""
    options = {name: _stable(value, base) for name, value in part.kwargs.items() if _tells(part, name, value)}
    read = {path: _digest(base / path) for path in files_of(part.kwargs)} if "base" in part.given else {}
    return {"kind": part.kind, "type": part.type, "options": options, "files": read}


def _tells(part: Component, name: str, value: Any) -> bool:
    return name not in part.mendable and not isinstance(value, Secret)


def _stable(value: Any, base: Path) -> Any:
    """Write a value so that it is the same wherever the folder is moved."""
    match value:
        case Path():
            return value.relative_to(base).as_posix() if value.is_relative_to(base) else value.as_posix()
        case Mapping():
            items = cast("Mapping[str, Any]", value).items()
            return {key: _stable(item, base) for key, item in items if not isinstance(item, Secret)}
        case list() | tuple():
            return [_stable(item, base) for item in cast("Sequence[Any]", value)]
        case str() | int() | float() | None:
            return value
        case _:
            return repr(value)


def _digest(path: Path) -> str:
    try:
        return blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return ""


def _stars(value: Any) -> Any:
    """Star every value, and leave the names of a map: which headers are sent is no secret."""
    if isinstance(value, dict):
        return {name: _stars(item) for name, item in cast("dict[str, Any]", value).items()}
    return None if value is None else STARS
