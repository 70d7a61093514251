"""Text encodings: which ones a file cut at line ends may have, and what to say when the bytes are not text."""

import codecs
import re

from batchflow.model.errors import SourceError

BOM = codecs.BOM_UTF8
UTF8 = "utf-8"
_LOOK = 16 * 1024


def checked(encoding: str) -> str:
    """Gives an encoding's own name, or raises `ValueError` for one in which a line's end is not one byte."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise ValueError(f"there is no encoding {encoding!r}: try utf-8, cp1252 or latin-1") from None
    if not _keeps_ascii(name):
        raise ValueError(
            f"{encoding} cannot be cut at line ends: convert the file first, `iconv -f {encoding} -t utf-8`"
        )
    return UTF8 if name == "utf-8-sig" else name


def _keeps_ascii(name: str) -> bool:
    if name.startswith(("iso2022", "hz", "utf-7")):  # these shift: the same bytes are ASCII here and Japanese there
        return False
    try:
        return bytes(range(128)).decode(name) == bytes(range(128)).decode("ascii")
    except UnicodeDecodeError:
        return False


def garbled(line: bytes, encoding: str) -> str:
    """Says where some bytes stop being text; "" when they are text."""
    try:
        line.decode(encoding)
    except UnicodeDecodeError as error:
        return f"invalid {encoding.upper()} at byte {error.start + 1}"
    return ""


_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def half_a_pair(line: bytes) -> str:
    """Says which escape of a JSON line is half a surrogate pair, and so no character; "" where none is."""
    half: re.Match[bytes] | None = None
    for escape in _ESCAPE.finditer(line):
        code = int(escape[1], 16) if escape[1] else 0
        is_low = 0xDC00 <= code < 0xE000
        if half is not None:
            if not is_low or escape.start() != half.end():
                break
            half = None
        elif 0xD800 <= code < 0xE000:
            half = escape
            if is_low:
                break
    if half is None:
        return ""
    said = half[0].decode()
    return f"{said} at byte {half.start() + 1} is half a surrogate pair, which is no character: write its other half beside it, or \\ufffd"


def is_utf8(data: bytes) -> bool:
    """Tells whether bytes are UTF-8, looking at little of them at once: what is decoded for that need not leave the cache."""
    if data.isascii():
        return True
    view, at = memoryview(data), 0
    try:
        while at < len(data):
            at += codecs.utf_8_decode(view[at : at + _LOOK], "strict", at + _LOOK >= len(data))[1]
    except UnicodeDecodeError:
        return False
    return True


def refuse_utf16(name: str, first: bytes) -> None:
    """Raises when a file begins like UTF-16: every line of it would be unreadable, and the reason hard to guess."""
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(
            f"{name} is UTF-16", hint=f"convert it: iconv -f utf-16 -t utf-8 {name} > new-{name.rpartition('/')[2]}"
        )


def excerpt(line: bytes, encoding: str) -> str:
    """Shows the beginning of a bad line."""
    return line[:200].decode(encoding, "replace")


def megabytes(size: int) -> str:
    """Writes a size for people."""
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{size:,} bytes"
