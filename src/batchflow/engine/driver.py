"""The driver: one loop that asks the store what is due and starts the stages that do it.

There is no recovery mode. The loop asks the same question after a crash as after a nap; the only thing done first is to
call batches whose POST died with their process what they are: in doubt.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
from anyio.abc import TaskGroup

from batchflow.engine.lease import DriverLease
from batchflow.engine.trouble import Trouble
from batchflow.machine.run import LIVE, Broke, CancelWished, Paused, Resumed, Settled
from batchflow.model import errors
from batchflow.model.change import Put
from batchflow.model.state import Batch, BatchState, Delivery, DeliveryState, Intent, Run, RunState, Wish
from batchflow.model.words import Word
from batchflow.ports.clock import Clock
from batchflow.stages.cancel import cancel_waiting
from batchflow.stages.collect import collect
from batchflow.stages.deliver import deliver, settle
from batchflow.stages.draft import Reader
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.poll import poll
from batchflow.stages.repack import ready, repack, waiting
from batchflow.stages.resolve import resolve
from batchflow.stages.submit import lost, submit
from batchflow.stages.unpark import unpark
from batchflow.stages.watermark import Watermark
