"""The promises of a provider, as tests: subclass, give the fixtures, and see which of them are kept.

    class TestMine(ProviderContract):
        @pytest.fixture
        async def provider(self, service): ...
        @pytest.fixture
        async def nowhere(self): ...
        def request(self, number): ...

It needs a service that costs nothing: a simulator, or a sandbox. What a lost reply, a reset or a refusal looks like
depends on the wire, so those are each provider's own tests; here is what holds for all.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing

import anyio
import msgspec
import pytest

from batchflow.model.errors import BatchflowError, ProviderError, ReplyLost, Unreachable
from batchflow.model.remote import RemoteBatch
from batchflow.model.words import Word
from batchflow.ports.provider import Outgoing, Provider


class TooLate(Exception):
    """What a lease says through `Outgoing.check` when it is over."""


class ProviderContract:
    """What every provider promises."""

    patience = 30.0
    """How long `finish` waits for a batch to end."""

    @pytest.fixture
    def provider(self) -> Provider:
        """A provider connected to a service with an empty workspace, closed afterwards (the fixture may be async)."""
        raise NotImplementedError

    @pytest.fixture
    def nowhere(self) -> Provider:
        """The same provider, set up for an address where nobody listens."""
        raise NotImplementedError

    def request(self, number: int) -> bytes:
        """The encoded parameters of a small valid request, a different one for each number."""
        raise NotImplementedError

    async def finish(self, provider: Provider, remote: str) -> RemoteBatch:
        """Waits until a batch has ended; override it where time can be turned on by hand."""
        with anyio.fail_after(self.patience):
            while (batch := await provider.status(remote)) is None or not batch.ended:  # noqa: ASYNC110 it ends elsewhere
                await anyio.sleep(0.02)
        return batch

    def pack(
        self, count: int = 3, *, name: str = "Tk1", check: Callable[[], None] = lambda: None, size: int = 0
    ) -> Outgoing:
        """A create call of so many requests under a token; `size` announces another length than they have."""
        rows = [self.request(number) for number in range(count)]

        async def chunks() -> AsyncIterator[Sequence[bytes]]:
            for start in range(0, count, 2):
                yield rows[start : start + 2]

        length = size or sum(map(len, rows))
        return Outgoing(token=name, count=count, params_bytes=length, chunks=chunks(), check=check, timeout=30.0)

    async def listed(self, provider: Provider) -> list[RemoteBatch]:
        """Everything a listing shows."""
        async with aclosing(provider.list()) as pages:
            return [batch async for page in pages for batch in page.batches]

    async def lines(self, provider: Provider, remote: str) -> list[bytes]:
        """The lines of a results file."""
        async with aclosing(provider.results(remote)) as pieces:
            return [line for line in b"".join([piece async for piece in pieces]).split(b"\n") if line.strip()]

    async def test_limits_leave_room_for_a_request(self, provider: Provider) -> None:
        limits = provider.limits()
        assert limits.requests >= 1
        assert 0 < limits.record_bytes <= limits.bytes

    async def test_the_largest_record_fits_into_a_batch_of_its_own(self, provider: Provider) -> None:
        limits = provider.limits()
        assert provider.body_bytes(count=1, params_bytes=limits.record_bytes, token_length=40) <= limits.bytes

    async def test_the_bodys_length_grows_with_every_byte_row_and_letter(self, provider: Provider) -> None:
        def length(count: int, params_bytes: int, token_length: int) -> int:
            return provider.body_bytes(count=count, params_bytes=params_bytes, token_length=token_length)

        assert length(10, 5007, 8) == length(10, 5000, 8) + 7
        assert length(11, 5000, 8) > length(10, 5000, 8)
        assert length(10, 5000, 9) >= length(10, 5000, 8)

    async def test_the_weights_of_requests_add_up(self, provider: Provider) -> None:
        few, many = [provider.weigh([self.request(number) for number in range(count)]) for count in (2, 20)]
        assert [sum(weight.requests for weight in weights) for weights in (few, many)] == [2, 20]
        assert 0 < sum(weight.input_tokens for weight in few) < sum(weight.input_tokens for weight in many)
        assert list(provider.weigh([])) == []

    async def test_the_binding_is_known_before_the_first_call_and_stays(self, provider: Provider) -> None:
        before = provider.binding()
        await self.listed(provider)
        after = provider.binding()
        assert (before.base_url, before.key) == (after.base_url, after.key)
        assert before.base_url

    async def test_a_new_batch_has_an_id_and_all_its_requests(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack(5))
        assert batch.id
        assert batch.count == 5

    async def test_a_new_batch_is_listed(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack())
        (listed,) = await self.listed(provider)
        assert (listed.id, listed.count, listed.created_at) == (batch.id, batch.count, batch.created_at)

    async def test_a_listing_begins_with_the_newest(self, provider: Provider) -> None:
        made = [(await provider.submit(self.pack(1, name=f"Tk{number}"))).id for number in range(3)]
        assert [batch.id for batch in await self.listed(provider)] == made[::-1]

    async def test_an_empty_listing_is_one_page(self, provider: Provider) -> None:
        async with aclosing(provider.list()) as pages:
            assert [page.batches async for page in pages] == [()]

    async def test_asking_whether_it_can_list_makes_nothing(self, provider: Provider) -> None:
        assert isinstance(await provider.can_list(), bool)
        assert await self.listed(provider) == []

    async def test_a_listing_may_be_left_early(self, provider: Provider) -> None:
        await provider.submit(self.pack())
        pages = provider.list()
        await anext(pages)
        await pages.aclose()
        assert len(await self.listed(provider)) == 1

    async def test_one_batch_can_be_looked_at(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack())
        status = await provider.status(batch.id)
        assert status is not None
        assert (status.id, status.count) == (batch.id, 3)

    async def test_nobody_knows_a_batch_that_never_was(self, provider: Provider) -> None:
        assert await provider.status("no-such-batch") is None
        assert await provider.cancel("no-such-batch") is None

    async def test_an_ended_batch_accounts_for_every_request(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack(5))
        ended = await self.finish(provider, batch.id)
        assert ended.succeeded + ended.errored + ended.canceled + ended.expired == ended.count == 5

    async def test_every_request_comes_back_once_under_its_name(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack(12, name="Tok"))
        await self.finish(provider, batch.id)
        answers = provider.read(await self.lines(provider, batch.id))
        assert sorted(answer.custom_id for answer in answers) == sorted(f"Tok-{row}" for row in range(12))

    async def test_good_answers_have_text_usage_and_the_whole_message(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack(2))
        await self.finish(provider, batch.id)
        for answer in provider.read(await self.lines(provider, batch.id)):
            assert answer.word is Word.OK
            assert answer.text
            assert answer.model
            assert answer.usage.output_tokens
            assert isinstance(msgspec.json.decode(answer.message), dict)

    async def test_skimming_tells_the_same_fates_and_tokens(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack(3))
        await self.finish(provider, batch.id)
        lines = [*await self.lines(provider, batch.id), b"{", b'{"custom_id":"x"}']
        for skimmed, read in zip(provider.skim(lines), provider.read(lines), strict=True):
            assert (skimmed.custom_id, skimmed.word, skimmed.model) == (read.custom_id, read.word, read.model)
            assert (skimmed.usage, skimmed.stop_reason, skimmed.error) == (read.usage, read.stop_reason, read.error)

    async def test_results_can_be_downloaded_again(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack(4))
        await self.finish(provider, batch.id)
        first, second = [await self.lines(provider, batch.id) for _ in range(2)]
        assert len(first) == len(second) == 4
        assert {answer.custom_id for answer in provider.read(first)} == {row.custom_id for row in provider.read(second)}

    async def test_a_download_may_be_left_early(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack(4))
        await self.finish(provider, batch.id)
        pieces = provider.results(batch.id)
        assert await anext(pieces)
        await pieces.aclose()
        assert len(await self.lines(provider, batch.id)) == 4

    async def test_there_are_no_results_of_a_batch_that_never_was(self, provider: Provider) -> None:
        with pytest.raises(ProviderError) as refusal:
            await self.lines(provider, "no-such-batch")
        assert refusal.value.word is Word.MISSING

    @pytest.mark.parametrize("line", [b"", b"{", b"null", b"\xff", b'{"custom_id":"Tk1-0"}'])
    async def test_a_line_that_cannot_be_read_has_no_word(self, provider: Provider, line: bytes) -> None:
        (answer,) = provider.read([line])
        assert answer.word is None
        assert answer.error

    async def test_canceling_is_seen_in_the_batch(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack())
        canceled = await provider.cancel(batch.id)
        assert canceled is not None
        assert canceled.canceling or canceled.ended
        assert (await self.finish(provider, batch.id)).ended

    async def test_canceling_twice_is_no_error(self, provider: Provider) -> None:
        batch = await provider.submit(self.pack())
        await provider.cancel(batch.id)
        assert await provider.cancel(batch.id) is not None

    async def test_the_check_is_asked_more_than_once(self, provider: Provider) -> None:
        asked: list[bool] = []
        await provider.submit(self.pack(check=lambda: asked.append(True)))
        assert len(asked) >= 2

    async def test_a_check_that_fails_at_once_creates_nothing(self, provider: Provider) -> None:
        with pytest.raises((Unreachable, ReplyLost)):
            await provider.submit(self.pack(check=_failing_at(1)))
        assert await self.listed(provider) == []

    async def test_a_check_that_fails_before_the_last_piece_creates_nothing(self, provider: Provider) -> None:
        asked: list[bool] = []
        await provider.submit(self.pack(name="Tk1", check=lambda: asked.append(True)))
        with pytest.raises(ReplyLost):
            await provider.submit(self.pack(name="Tk2", check=_failing_at(len(asked))))
        assert len(await self.listed(provider)) == 1

    @pytest.mark.parametrize("wrong", [-1, 1, 50])
    async def test_rows_of_another_length_than_announced_create_nothing(self, provider: Provider, wrong: int) -> None:
        size = sum(len(self.request(number)) for number in range(3)) + wrong
        with pytest.raises(BatchflowError):
            await provider.submit(self.pack(3, size=size))
        assert await self.listed(provider) == []

    async def test_an_address_where_nobody_listens_is_definite(self, nowhere: Provider) -> None:
        asked: list[bool] = []
        with pytest.raises(Unreachable):
            await nowhere.submit(self.pack(check=lambda: asked.append(True)))
        assert asked == []

    async def test_nothing_can_be_read_where_nobody_listens(self, nowhere: Provider) -> None:
        with pytest.raises(ProviderError):
            await self.listed(nowhere)
        with pytest.raises(ProviderError):
            await nowhere.status("any")
        with pytest.raises(ProviderError):
            await self.lines(nowhere, "any")

    async def test_one_request_can_be_sent_at_once(self, provider: Provider) -> None:
        answer = await provider.send(self.request(0))
        assert answer.word is Word.OK
        assert answer.text

    async def test_calls_may_run_side_by_side(self, provider: Provider) -> None:
        made: list[str] = []

        async def create(number: int) -> None:
            made.append((await provider.submit(self.pack(1, name=f"Tk{number}"))).id)

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(create, number)
        assert {batch.id for batch in await self.listed(provider)} == set(made)
        assert len(set(made)) == 5

    async def test_it_may_be_closed_twice(self, provider: Provider) -> None:
        await self.listed(provider)
        await provider.close()
        await provider.close()


def _failing_at(call: int) -> Callable[[], None]:
    calls = iter(range(1, 1_000_000))

    def check() -> None:
        if next(calls) == call:
            raise TooLate("the lease is over")

    return check
