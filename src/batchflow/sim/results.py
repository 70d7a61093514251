"""The results file on its way out: streamed row by row when all is well, and every way it can arrive broken.

A healthy download is lazy. The faults that bend lines stay lazy too; those that cut the body or need its length
render it whole first, which is what faults in tests can afford.
"""

import gzip
from collections.abc import Callable, Iterator
from itertools import chain, islice

import msgspec

from batchflow.sim.faults import Hits
from batchflow.sim.shapes import Object, mapping, objects

_PIECE = 64 * 1024
_SEPARATOR = "\u2028"


def pieces(lines: Iterator[bytes], hits: Hits) -> Iterator[bytes]:
    """The file in pieces of about 64 KiB, its lines bent by the faults of this call."""
    ending = b"\r\n" if "crlf" in hits else b"\n"
    if "blank_lines" in hits:
        ending += ending
    file = _joined(_bent(lines, hits), ending)
    if "no_final_newline" in hits:
        file = iter([b"".join(file).removesuffix(ending)])
    if "gzip" in hits:
        file = iter([gzip.compress(b"".join(file), mtime=0)])
    return file


def _joined(lines: Iterator[bytes], ending: bytes) -> Iterator[bytes]:
    piece = bytearray()
    for line in lines:
        piece += line
        piece += ending
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _bent(lines: Iterator[bytes], hits: Hits) -> Iterator[bytes]:
    """The lines with rows taken away, doubled, added or spoilt; each fault touches the first `rows` lines."""
    if (rule := hits.get("missing_rows")) is not None:
        lines = islice(lines, rule.rows or 1, None)
    if (rule := hits.get("duplicate_rows")) is not None:
        lines = _doubled(lines, rule.rows or 1)
    if (rule := hits.get("malformed_rows")) is not None:
        lines = _changed(lines, rule.rows or 1, _torn)
    if (rule := hits.get("unknown_result")) is not None:
        lines = _changed(lines, rule.rows or 1, _unknown)
    if (rule := hits.get("u2028")) is not None:
        lines = _changed(lines, rule.rows or 1, _separated)
    if (rule := hits.get("long_line")) is not None:
        filler = "x" * int(rule.megabytes * 1_000_000)
        lines = _changed(lines, rule.rows or 1, lambda line: _with_text(line, filler))
    if (rule := hits.get("foreign_rows")) is not None:
        lines = chain((_foreign(number) for number in range(rule.rows or 1)), lines)
    if "flat_errors" in hits:
        lines = map(_flat, lines)
    return lines


def _doubled(lines: Iterator[bytes], count: int) -> Iterator[bytes]:
    kept: list[bytes] = []
    for line in lines:
        if len(kept) < count:
            kept.append(line)
        yield line
    yield from kept


def _changed(lines: Iterator[bytes], count: int, change: Callable[[bytes], bytes]) -> Iterator[bytes]:
    for number, line in enumerate(lines):
        yield change(line) if number < count else line


def _torn(line: bytes) -> bytes:
    return line[: max(1, len(line) * 2 // 3)]


def _unknown(line: bytes) -> bytes:
    row: Object = msgspec.json.decode(line)
    row["result"] = {"type": "deferred"}
    return msgspec.json.encode(row)


def _separated(line: bytes) -> bytes:
    return _with_text(line, f"before{_SEPARATOR}after\u0085end")


def _with_text(line: bytes, text: str) -> bytes:
    row: Object = msgspec.json.decode(line)
    result = mapping(row["result"]) or {}
    for block in objects((mapping(result.get("message")) or {}).get("content"))[:1]:
        block["text"] = text
    return msgspec.json.encode(row)


def _foreign(number: int) -> bytes:
    return b'{"custom_id":"foreign-%d","result":{"type":"expired"}}' % number


def _flat(line: bytes) -> bytes:
    row: Object = msgspec.json.decode(line)
    outer = mapping((mapping(row["result"]) or {}).get("error"))
    if outer is None:
        return line
    row["result"] = {"type": "errored", "error": outer["error"]}
    return msgspec.json.encode(row)
