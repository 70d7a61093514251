"""Whose account is it? Batches belong to the workspace whose key made them, and no other key sees them."""

import contextlib

from batchflow.machine.ruling import DOUBTFUL
from batchflow.model import errors
from batchflow.model.state import Batch, Binding, Intent
from batchflow.stages.kit import Kit


def same_account(one: Binding, other: Binding) -> bool:
    """Tell whether two calls go to the same workspace. Where it is known it decides: one key may open several."""
    if one.base_url != other.base_url:
        return False
    known = [
        (one.organization, other.organization),
        (one.workspace, other.workspace),
    ]
    if any(mine and theirs and mine != theirs for mine, theirs in known):
        return False
    return one.key == other.key or all(mine and theirs for mine, theirs in known)


async def sees(kit: Kit, intent: Intent) -> bool:
    """Tell whether the key in use is of the account that a call went to."""
    return same_account(intent.binding, kit.provider.binding()) or same_account(
        intent.binding, await _learnt_binding(kit)
    )


async def out_of_sight(kit: Kit) -> tuple[Batch, Intent] | None:
    """Find a batch of this run, in doubt or held, whose call went to an account that the key in use cannot be shown to be of."""
    for batch in await kit.every(Batch, {"run": kit.run, "state": list(DOUBTFUL)}):
        intent = await kit.store.get(Intent, batch.token)
        if intent is not None and not await sees(kit, intent):
            return batch, intent
    return None


async def _learnt_binding(kit: Kit) -> Binding:
    """Ask for a listing: it is from a reply that a provider learns whose account it uses."""
    pages = kit.provider.list()
    try:
        with contextlib.suppress(errors.NoListing):
            await anext(pages, None)
    finally:
        await pages.aclose()
    return kit.provider.binding()
