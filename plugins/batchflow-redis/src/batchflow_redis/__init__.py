"""Redis for batchflow: a stream as a source, hashes or a stream as a sink, and a mirror of where every batch stands.

Installed distributions are found by their entry point in the group `batchflow`; ours names this module. Factories are
named by path, so that an app which does not use Redis never imports its client.
"""

from batchflow.plugin import Register, hookimpl


@hookimpl
def register_sources(register: Register) -> None:
    """Hand over the source."""
    register("redis", "batchflow_redis.source:redis")


@hookimpl
def register_sinks(register: Register) -> None:
    """Hand over the sink."""
    register("redis", "batchflow_redis.sink:redis")
