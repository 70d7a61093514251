"""Lines of a results file, the well-formed and the others."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.anthropic.rows import read_rows, skim_rows
from batchflow.model.result import NO_USAGE
from batchflow.model.words import Word
from batchflow.sim import FaultPlan

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "one"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 16,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 5,
        "service_tier": "batch",
        "inference_geo": "us",
        "server_tool_use": {"web_search_requests": 4, "web_fetch_requests": 1},
    },
}


def succeeded(**changes):
    message = {name: value for name, value in (MESSAGE | changes).items() if value is not ...}
    return msgspec.json.encode({"custom_id": "t-0", "result": {"type": "succeeded", "message": message}})


def failed(error):
    return msgspec.json.encode({"custom_id": "t-0", "result": {"type": "errored", "error": error}})


def read(line):
    (answer,) = read_rows([line])
    return answer


def test_an_answer_is_read_and_its_message_stays_as_it_was():
    line = succeeded()
    answer = read(line)
    assert (answer.custom_id, answer.word, answer.model, answer.text) == ("t-0", Word.OK, MESSAGE["model"], "one")
    assert bytes(answer.message) == msgspec.json.encode(MESSAGE)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.inference_geo) == (16, 5, "us")
    assert answer.usage.cache_creation.ephemeral_1h_input_tokens == 2
    assert answer.usage.server_tool_use.web_search_requests == 4
    assert answer.error == ""


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "tool_use", "id": "x", "name": "n", "input": {"text": "no"}}], ""),
        ([{"type": "novel", "text": "no"}, {"type": "text", "text": "yes"}], "yes"),
        ([{"type": "text", "text": "\u2028\u0085\n line"}], "\u2028\u0085\n line"),
        ([{"type": "text", "text": None}], ""),
        ([{"type": "novel", "text": {"odd": 1}}, {"type": "text", "text": "kept"}], "kept"),
        (["just a string", {"type": "text", "text": "kept"}], "kept"),
    ],
)
def test_the_text_is_that_of_the_text_blocks(content, text):
    answer = read(succeeded(content=content))
    assert (answer.word, answer.text) == (Word.OK, text)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end_turn", Word.OK),
        ("stop_sequence", Word.OK),
        ("tool_use", Word.OK),
        (None, Word.OK),
        (..., Word.OK),
        ("something_new", Word.OK),
        ("max_tokens", Word.TRUNCATED),
        ("refusal", Word.REFUSED),
        ("pause_turn", Word.UNFINISHED),
        ("model_context_window_exceeded", Word.CONTEXT_EXCEEDED),
    ],
)
def test_the_stop_reason_says_what_the_answer_is_worth(reason, word):
    answer = read(succeeded(stop_reason=reason))
    assert answer.word is word
    assert answer.stop_reason == (reason if isinstance(reason, str) else "")


@pytest.mark.parametrize("usage", [None, ..., {}, {"input_tokens": None, "cache_creation": None, "new": 1}])
def test_usage_that_is_not_told_counts_nothing(usage):
    answer = read(succeeded(usage=usage))
    assert answer.word is Word.OK
    assert (answer.usage.input_tokens or 0, answer.usage.output_tokens or 0) == (0, 0)


@pytest.mark.parametrize("odd", ["many", [], {"n": 1}])
def test_an_odd_counter_costs_neither_the_answer_nor_the_other_counters(odd):
    answer = read(succeeded(usage={"input_tokens": odd, "output_tokens": 5, "cache_creation": odd}))
    assert (answer.word, answer.text) == (Word.OK, "one")
    assert (answer.usage.input_tokens or 0, answer.usage.output_tokens) == (0, 5)


@pytest.mark.parametrize(("content", "text"), [(None, ""), (..., ""), ("plain", "plain")])
def test_an_answer_without_blocks_is_an_answer_and_holds_back_nobody_elses(content, text):
    line = succeeded(content=content)
    answer = read(line)
    assert (answer.word, answer.text, answer.usage.output_tokens) == (Word.OK, text, 5)
    assert skim_rows([line])[0].word is Word.OK


def test_fewer_tokens_than_none_are_none():
    usage = read(succeeded(usage={"input_tokens": 16, "output_tokens": -5})).usage
    assert (usage.input_tokens, usage.output_tokens) == (16, None)


def test_half_a_surrogate_pair_costs_a_character_and_not_the_answer():
    answer = read(succeeded().replace(b'"one"', rb'"o\ud83dne \ud83d\ude00"'))
    assert (answer.word, answer.text) == (Word.OK, "o\ufffdne \N{GRINNING FACE}")
    assert answer.usage.output_tokens == 5


def test_a_mended_message_can_be_decoded_by_everybody_after_us():
    answer = read(succeeded().replace(b'"one"', rb'"o\ud83dne"'))
    assert msgspec.json.decode(answer.message)["content"][0]["text"] == "o\ufffdne"


def test_a_line_nested_beyond_all_reason_is_unreadable():
    line = b'{"custom_id":"t-0","result":{"type":"succeeded","message":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    assert read(line).word is None


def test_a_byte_that_is_no_utf8_costs_a_character_and_not_the_answer():
    answer = read(succeeded().replace(b'"one"', b'"o\xffne"'))
    assert (answer.word, answer.text) == (Word.OK, "o\ufffdne")


@pytest.mark.parametrize("message", [None, "text", [], {}, {"content": None}, {"content": "text"}])
def test_a_success_without_a_readable_message_is_no_answer_but_keeps_its_name(message):
    answer = read(msgspec.json.encode({"custom_id": "t-0", "result": {"type": "succeeded", "message": message}}))
    assert (answer.custom_id, answer.word) == ("t-0", None)
    assert answer.error


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}, "request_id": None},
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy", "details": None}},
        {"type": "overloaded_error", "message": "busy"},
    ],
)
def test_errors_are_read_nested_and_flat(error):
    answer = read(failed(error))
    assert (answer.word, answer.error, answer.usage) == (Word.OVERLOADED, "overloaded_error: busy", NO_USAGE)


@pytest.mark.parametrize("error", [None, "broken", [], 7, {}, {"type": "error"}, {"type": "error", "error": "broken"}])
def test_an_error_in_no_known_shape_is_the_services(error):
    answer = read(failed(error))
    assert answer.word is Word.SERVER_ERROR
    assert answer.error


@pytest.mark.parametrize(("kind", "word"), [("canceled", Word.CANCELED), ("expired", Word.EXPIRED)])
def test_rows_that_were_never_processed_say_so(kind, word):
    answer = read(msgspec.json.encode({"custom_id": "t-0", "result": {"type": kind}}))
    assert (answer.word, answer.usage) == (word, NO_USAGE)
    assert answer.error


@pytest.mark.parametrize("kind", ["skipped", None, "", ...])
def test_an_unknown_result_without_a_message_was_not_billed_so_it_may_go_again(kind):
    result = {} if kind is ... else {"type": kind}
    answer = read(msgspec.json.encode({"custom_id": "t-0", "result": result}))
    assert (answer.custom_id, answer.word) == ("t-0", Word.SERVER_ERROR)


def test_an_unknown_result_with_a_message_is_an_answer():
    line = msgspec.json.encode({"custom_id": "t-0", "result": {"type": "succeeded_fast", "message": MESSAGE}})
    assert (read(line).word, read(line).text) == (Word.OK, "one")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"", ""),
        (b"{", ""),
        (b"null", ""),
        (b"[]", ""),
        (b"\xff\xfe", ""),
        (b'{"result":{"type":"expired"}}', ""),
        (b'{"custom_id":7,"result":{"type":"expired"}}', ""),
        (b'{"custom_id":"t-1"}', "t-1"),
        (b'{"custom_id":"t-1","result":null}', "t-1"),
        (b'{"custom_id":"t-1","result":{"type":7}}', "t-1"),
        (succeeded()[:-30], ""),
    ],
)
def test_a_line_that_cannot_be_read_has_no_word(line, name):
    answer = read(line)
    assert (answer.word, answer.custom_id) == (None, name)
    assert answer.error


def test_lines_with_a_carriage_return_are_lines():
    assert read(succeeded() + b"\r").word is Word.OK


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.builds(lambda cut: succeeded()[:cut], st.integers(0, 700)))
def test_no_line_makes_it_raise(line):
    assert read(line).word in {None, Word.OK, Word.SERVER_ERROR}


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from(["text", "end_turn", "refusal", "é\u2028", "m"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
blocks = st.lists(
    st.sampled_from([{"type": "text", "text": "a"}, {"type": "tool_use", "id": "x"}]) | anything, max_size=2
)
odd_messages = st.fixed_dictionaries(
    {},
    optional={
        "content": blocks | anything,
        "stop_reason": st.sampled_from(["end_turn", "max_tokens", "refusal", "pause_turn"]) | anything,
        "usage": st.dictionaries(st.sampled_from(list(MESSAGE["usage"])), anything) | anything,
        "model": st.just("m") | anything,
    },
)
kinds = st.sampled_from(["succeeded", "succeeded", "errored", "expired", "unheard-of"]) | anything
odd_lines = st.builds(
    lambda kind, message: msgspec.json.encode({"custom_id": "t-0", "result": {"type": kind, "message": message}}),
    kinds,
    odd_messages | anything,
)


@settings(max_examples=500)
@given(odd_lines | st.builds(lambda cut: succeeded()[:cut], st.integers(0, 700)))
def test_skimming_a_line_tells_its_fate_and_its_tokens(line):
    (skimmed,), (whole,) = skim_rows([line]), read_rows([line])
    assert (skimmed.custom_id, skimmed.word, skimmed.model) == (whole.custom_id, whole.word, whole.model)
    assert (skimmed.usage, skimmed.stop_reason, skimmed.error) == (whole.usage, whole.stop_reason, whole.error)


def test_answers_do_not_depend_on_each_other():
    lines = [succeeded(), b"{", failed({"type": "api_error"}), succeeded(stop_reason="refusal")]
    assert [answer.word for answer in read_rows(lines)] == [Word.OK, None, Word.SERVER_ERROR, Word.REFUSED]


@pytest.mark.parametrize("fault", ["u2028", "long_line", "crlf", "flat_errors", "gzip", "no_final_newline"])
async def test_whatever_the_file_looks_like_every_row_is_read(sim, connect, pack, fault):
    sim.set_faults(FaultPlan.parse([f"results::{fault}", "row:row 1:overloaded"]))
    async with connect(sim.url) as provider:
        batch = await provider.submit(pack(4))
        sim.clock.advance(7200)
        file = b"".join([piece async for piece in provider.results(batch.id)])
        answers = provider.read([line for line in file.split(b"\n") if line])
    assert {answer.custom_id: answer.word for answer in answers} == {
        "tok-0": Word.OK,
        "tok-1": Word.OVERLOADED,
        "tok-2": Word.OK,
        "tok-3": Word.OK,
    }
