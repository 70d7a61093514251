"""Finds keys that come twice among any number of keys, exactly, and in bounded memory.

`SeenKeys` tells, page by page, which keys came before: that is `on_duplicate: first`. `Census` looks at all keys before
the run begins: that is `on_duplicate: error` and `last`. Both keep hashes in sorted files (`runs`) in a scratch folder,
which can be thrown away at any time: the keys are in the source and in the committed batches.
"""

from batchflow.engine.seen.census import Census, Repeat, Superseded
from batchflow.engine.seen.keys import SeenKeys

__all__ = ["Census", "Repeat", "SeenKeys", "Superseded"]
