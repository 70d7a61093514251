"""`attach`: a record's PDF or image goes before the text of the last user turn."""

import json
from base64 import b64encode
from typing import Any

import pytest

from batchflow.builtin.builders.template import template
from batchflow.model.record import Record
from batchflow.ports.builder import BuildError

SCAN = {"base64": "JVBERi0=", "media_type": "application/pdf", "kind": "document"}
BLOCK = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}


def turns(data: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    builder = template(**{"model": "m", "max_tokens": 10, "attach": "base64", **request})
    return json.loads(builder.build(Record("k", data, "scans/a.pdf")))["messages"]


def test_a_pdf_becomes_a_document_block_before_the_prompt() -> None:
    assert turns(SCAN, prompt="Read it.") == [
        {"role": "user", "content": [BLOCK, {"type": "text", "text": "Read it."}]}
    ]


def test_an_image_becomes_an_image_block() -> None:
    content = turns({"base64": "iVBORw0=", "media_type": "image/png"}, prompt="Read it.")[0]["content"]
    assert content[0] == {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}}


@pytest.mark.parametrize("data", [{"base64": None}, {"base64": "", "kind": "text", "media_type": "text/plain"}])
def test_a_record_without_a_file_is_asked_without_one(data: dict[str, Any]) -> None:
    assert turns(data, prompt="Read it.") == [{"role": "user", "content": [{"type": "text", "text": "Read it."}]}]


@pytest.mark.parametrize(
    ("begins", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", "image/png"),
        (b"GIF89a\1\0", "image/gif"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
def test_a_file_of_unsaid_media_type_is_known_by_how_it_begins(begins: bytes, media_type: str) -> None:
    block = turns({"base64": b64encode(begins).decode()}, prompt="Read it.")[0]["content"][0]
    assert block["source"]["media_type"] == media_type
    assert block["type"] == ("document" if media_type == "application/pdf" else "image")


def test_the_media_type_may_be_fixed() -> None:
    block = turns({"scan": "JVBERi0="}, prompt="Read it.", attach={"column": "scan", "media_type": "application/pdf"})[
        0
    ]["content"][0]
    assert block == BLOCK


def test_bytes_are_encoded() -> None:
    assert turns({**SCAN, "base64": b"%PDF-"}, prompt="Read it.")[0]["content"][0] == BLOCK


def test_without_a_prompt_the_file_goes_into_the_last_user_turn() -> None:
    messages = [
        {"role": "user", "content": "one"},
        {"role": "user", "content": [{"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "three"},
    ]
    found = turns(SCAN, messages=messages)
    assert [found[0], found[2]] == [messages[0], messages[2]]
    assert found[1]["content"] == [BLOCK, {"type": "text", "text": "two"}]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({}, "no column 'base64'"),
        ({"base64": 7}, "not base64 text"),
        ({"base64": ""}, "is empty"),
        ({"base64": b""}, "is empty"),
        ({**SCAN, "base64": ""}, "is empty"),
        ({"base64": "AAAA"}, "write `attach: {column: base64, media_type: application/pdf}`"),
        ({"base64": "%PDF-1.7"}, "does not begin like base64"),
        ({"base64": b64encode(b"RIFF....WAVE").decode()}, "does not begin like base64"),
        ({"base64": "AAAA", "media_type": "application/zip"}, "application/zip"),
        ({**SCAN, "base64": "\ud800"}, "is not base64"),
    ],
)
def test_what_cannot_be_attached_refuses_the_record(data: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        turns(data, prompt="Read it.")


@pytest.mark.parametrize("attach", [{}, {"media_type": "image/png"}, {"column": "a", "path": "b"}])
def test_a_setting_that_makes_no_sense_is_refused(attach: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="attach is a column"):
        turns(SCAN, prompt="x", attach=attach)


def test_there_must_be_a_user_turn_to_attach_to() -> None:
    with pytest.raises(ValueError, match="needs a user turn"):
        turns(SCAN, messages=[{"role": "assistant", "content": "x"}])
