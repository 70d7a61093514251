"""One owner at a time, by the store's clock."""

import anyio
import pytest

from batchflow.model.change import Count, Holding, Put
from batchflow.model.errors import Locked, Stale
from batchflow.model.state import Lease, Run
from batchflow.ports.state import StateStore
from batchflow.testing.clock import ManualClock
from batchflow.testing.samples import RUN, a_run
from batchflow.testing.state.connect import Connect

TTL = 60.0


async def take(store: StateStore, owner: str = "ann", name: str = RUN) -> Lease:
    """Takes or renews a lease."""
    return await store.lease(name, owner=owner, host=f"{owner}s-host", pid=4711, ttl=TTL)


async def renew(store: StateStore, lease: Lease) -> Lease:
    """Renews this very lease."""
    return await store.lease(lease.name, owner=lease.owner, host=lease.host, pid=lease.pid, ttl=TTL, since=lease.since)


class LeaseContract:
    """Taking, renewing, lapsing, giving back; and writing only while holding."""

    async def test_a_lease_tells_who_holds_it_and_until_when(self, store: StateStore, clock: ManualClock) -> None:
        now = clock.now()
        lease = await take(store)
        assert lease == Lease(name=RUN, owner="ann", host="anns-host", pid=4711, until=now + TTL, since=now)
        assert await store.holder(RUN) == lease

    async def test_nobody_holds_what_nobody_took(self, store: StateStore) -> None:
        assert await store.holder(RUN) is None

    async def test_two_owners_one_lease(self, store: StateStore, other: StateStore) -> None:
        await take(store, "ann")
        with pytest.raises(Locked):
            await take(other, "bob")
        holder = await other.holder(RUN)
        assert holder is not None
        assert holder.owner == "ann"

    async def test_who_is_locked_out_learns_host_and_process(self, store: StateStore) -> None:
        await take(store, "ann")
        with pytest.raises(Locked, match=r"4711.*anns-host"):
            await take(store, "bob")

    async def test_of_two_who_reach_for_it_at_once_one_gets_it(self, store: StateStore, other: StateStore) -> None:
        ends: list[str] = []

        async def reach(handle: StateStore, owner: str) -> None:
            try:
                ends.append((await take(handle, owner)).owner)
            except Locked:
                ends.append("locked")

        async with anyio.create_task_group() as group:
            group.start_soon(reach, store, "ann")
            group.start_soon(reach, other, "bob")
        holder = await store.holder(RUN)
        assert holder is not None
        assert sorted(ends) == sorted([holder.owner, "locked"])

    async def test_renewing_moves_the_end_and_not_the_beginning(self, store: StateStore, clock: ManualClock) -> None:
        first = await take(store)
        clock.advance(TTL / 2)
        second = await take(store)
        assert second.until == first.until + TTL / 2
        assert second.since == first.since

    async def test_a_lease_holds_until_its_last_moment(self, store: StateStore, clock: ManualClock) -> None:
        await take(store, "ann")
        clock.advance(TTL - 0.25)
        with pytest.raises(Locked):
            await take(store, "bob")

    async def test_a_lapsed_lease_can_be_taken_by_another(self, store: StateStore, clock: ManualClock) -> None:
        await take(store, "ann")
        clock.advance(TTL)
        lease = await take(store, "bob")
        assert lease.owner == "bob"
        assert lease.since == clock.now()

    async def test_a_lapsed_lease_is_held_by_nobody(self, store: StateStore, clock: ManualClock) -> None:
        await take(store)
        clock.advance(TTL)
        assert await store.holder(RUN) is None

    async def test_who_was_replaced_cannot_renew(self, store: StateStore, clock: ManualClock) -> None:
        await take(store, "ann")
        clock.advance(TTL)
        await take(store, "bob")
        with pytest.raises(Locked):
            await take(store, "ann")

    async def test_a_lapsed_lease_that_nobody_took_is_renewed(self, store: StateStore, clock: ManualClock) -> None:
        first = await take(store, "ann")
        clock.advance(2 * TTL)
        assert (await renew(store, first)).since == first.since
        assert await store.holder(RUN) is not None

    async def test_what_another_has_is_not_renewed(self, store: StateStore, clock: ManualClock) -> None:
        first = await take(store, "ann")
        clock.advance(TTL)
        await take(store, "bob")
        with pytest.raises(Locked):
            await renew(store, first)

    @pytest.mark.parametrize("gave_back", [True, False])
    async def test_what_another_had_is_not_renewed_and_stays_free(
        self, store: StateStore, clock: ManualClock, *, gave_back: bool
    ) -> None:
        first = await take(store, "ann")
        clock.advance(TTL)
        await take(store, "bob")
        if gave_back:
            await store.release(RUN, owner="bob")
        clock.advance(TTL)
        with pytest.raises(Locked):
            await renew(store, first)
        assert await store.holder(RUN) is None
        with pytest.raises(Stale):
            await store.commit((Holding(RUN, "ann"), Put(a_run())))

    async def test_a_lease_given_back_can_be_taken_at_once(self, store: StateStore) -> None:
        await take(store, "ann")
        await store.release(RUN, owner="ann")
        assert await store.holder(RUN) is None
        assert (await take(store, "bob")).owner == "bob"

    async def test_nobody_gives_back_anothers_lease(self, store: StateStore) -> None:
        lease = await take(store, "ann")
        await store.release(RUN, owner="bob")
        assert await store.holder(RUN) == lease

    async def test_giving_back_what_nobody_holds_is_no_error(self, store: StateStore) -> None:
        await store.release(RUN, owner="ann")
        await store.release(RUN, owner="ann")
        assert await store.holder(RUN) is None

    async def test_leases_of_other_names_are_free(self, store: StateStore) -> None:
        await take(store, "ann", "run-1")
        assert (await take(store, "bob", "run-2")).owner == "bob"

    async def test_a_lease_survives_reopening(self, connect: Connect) -> None:
        first = connect()
        await first.open()
        lease = await take(first)
        await first.close()
        second = connect()
        await second.open()
        assert await second.holder(RUN) == lease
        await second.close()

    async def test_the_holder_may_write(self, store: StateStore) -> None:
        await take(store, "ann")
        await store.commit((Holding(RUN, "ann"), Put(a_run())))
        assert await store.get(Run, RUN) == a_run()

    @pytest.mark.parametrize("owner", ["bob", ""])
    async def test_who_does_not_hold_the_lease_writes_nothing(self, store: StateStore, owner: str) -> None:
        await take(store, "ann")
        with pytest.raises(Stale):
            await store.commit((Put(a_run()), Count(RUN, {"read": 1}), Holding(RUN, owner)))
        assert await store.get(Run, RUN) is None
        assert (await store.books(RUN))["read"] == 0

    async def test_who_let_the_lease_lapse_writes_nothing(self, store: StateStore, clock: ManualClock) -> None:
        await take(store, "ann")
        clock.advance(TTL)
        with pytest.raises(Stale):
            await store.commit((Holding(RUN, "ann"), Put(a_run())))
        assert await store.get(Run, RUN) is None

    async def test_nobody_holds_a_lease_that_was_never_taken(self, store: StateStore) -> None:
        with pytest.raises(Stale):
            await store.commit((Holding(RUN, "ann"),))
