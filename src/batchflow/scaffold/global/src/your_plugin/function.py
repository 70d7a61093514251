"""A function for prompts: `{{ your_part(tenant) }}`. What it gives depends on its arguments and on nothing else."""

from collections.abc import Mapping

MANNERS: Mapping[str, str] = {
    "north": "Answer in one word.",
    "south": "Answer in one friendly sentence.",
}
"""What each tenant asked for. It goes into requests, so whoever changes it changes what a run that is gone on with sends."""
OTHERWISE = "Answer in one sentence."


def manner(tenant: str) -> str:
    """Say how a tenant wants to be answered."""
    if not isinstance(tenant, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a column may hold anything
        raise TypeError(f"a tenant has a name, and {tenant!r} is none")
    return MANNERS.get(tenant.strip().lower(), OTHERWISE)
