"""The API simulator: Anthropic's Message Batches API on loopback, with virtual time and a fault plan.

A product feature (`batchflow sim`, `batchflow demo`) and the server that batchflow's own tests run against. It lives
here because it must know nothing of the rest of batchflow: a simulator that shared code with the client would agree
with its mistakes. Called by the doors and by tests; calls starlette, uvicorn and msgspec, and no other room.

    with Simulator(seed=1, speed=3600, faults=FaultPlan.parse(["create:1:reset_after"])) as sim:
        client = anthropic.Anthropic(base_url=sim.url, api_key="any")
"""

from batchflow.sim.clock import SimClock
from batchflow.sim.faults import FaultPlan, RowRule, Rule
from batchflow.sim.simulator import Simulator, serve
from batchflow.sim.vocabulary import FAULTS, ROW_WORDS

__all__ = ["FAULTS", "ROW_WORDS", "FaultPlan", "RowRule", "Rule", "SimClock", "Simulator", "serve"]
