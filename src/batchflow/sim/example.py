"""The one batch that is always there: `message_batch_id`, as the official SDKs' own tests and reference pages call it.

Those tests retrieve, list, cancel, delete and download that id from a mock server that says yes to everything. Here it
is a batch that ended an hour ago with a row of every shape, so that they, and whoever types a line from the reference
page, get real answers from `batchflow sim` without a flag. It cannot get in anybody's way: no listing shows it, no
count includes it, every good key sees it, and it is made anew for each call, so deleting it or canceling it changes
nothing. A real id never looks like it (they begin with `msgbatch_`).
"""

import msgspec

from batchflow.sim.batches import Account, Batch, Fate
from batchflow.sim.clock import HOUR
from batchflow.sim.rows import coded
from batchflow.sim.validate import VERSION, Context, Request

ID = "message_batch_id"
_ROWS = ("ok", "refusal", "max_tokens", "overloaded", "invalid", "canceled", "expired")
_PARAMS = msgspec.Raw(
    b'{"model":"claude-haiku-4-5","max_tokens":16,"messages":[{"role":"user","content":"Hello, world"}]}'
)


def example(account: Account, now: float) -> Batch:
    """The example batch, as if `account` had made it."""
    batch = Batch(
        identity=ID,
        serial=0,
        account=account,
        context=Context(version=VERSION),
        requests=[Request(custom_id=f"example-{word}", params=_PARAMS) for word in _ROWS],
        created_at=now - 2 * HOUR,
        duration=HOUR,
        fate=Fate(),
    )
    batch.outcomes = coded(_ROWS)
    return batch
