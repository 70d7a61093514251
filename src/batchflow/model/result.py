"""What flows from a provider to the sinks."""

from typing import Annotated, Any, TypeAlias

import msgspec

from batchflow.model.words import Word

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""What is billed by the piece. Fewer than none would be money back, which no answer says."""


class CacheCreation(msgspec.Struct, frozen=True, gc=False):
    """Tokens written to the cache, by how long they stay."""

    ephemeral_5m_input_tokens: Count | None = 0
    ephemeral_1h_input_tokens: Count | None = 0


class ServerTools(msgspec.Struct, frozen=True, gc=False):
    """Server tools that carry a fee of their own."""

    web_search_requests: Count | None = 0


class Usage(msgspec.Struct, frozen=True, gc=False):
    """The token counts of one answer, as the provider gave them; absent and null both mean none."""

    input_tokens: Count | None = 0
    output_tokens: Count | None = 0
    cache_creation_input_tokens: Count | None = 0
    cache_read_input_tokens: Count | None = 0
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerTools | None = None
    inference_geo: str | None = None


NO_USAGE = Usage()


class _Told(msgspec.Struct, frozen=True):
    message: msgspec.Raw = msgspec.Raw(b"null")


class _Line(msgspec.Struct, frozen=True):
    result: _Told = _Told()


_decode = msgspec.json.Decoder(_Line).decode


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One line of a results file, read by the provider that fetched it. `word` is None for a line that cannot be read."""

    custom_id: str
    word: Word | None
    model: str = ""
    text: str = ""
    line: bytes = b""
    usage: Usage = NO_USAGE
    stop_reason: str = ""
    error: str = ""

    @property
    def message(self) -> msgspec.Raw:
        """The answer exactly as received, undecoded; `null` where there is none."""
        return message_of(self.line)


class Result(msgspec.Struct, kw_only=True, gc=False):
    """One finished row, joined with what its record carried. A check may replace `word`, `text` and `output`.

    `output` is the parsed structured output where the job declares one, else None. `cost` and `list_cost` are in
    nano-dollars. `line` is the result line as received; a check that redacts must empty it, too.
    """

    key: str
    word: Word
    attempt: int
    batch: str
    row: int
    origin: str
    carried: dict[str, Any]
    text: str = ""
    output: Any = None
    line: bytes = b""
    usage: Usage = NO_USAGE
    model: str = ""
    stop_reason: str = ""
    error: str = ""
    cost: int = 0
    list_cost: int = 0

    @property
    def message(self) -> msgspec.Raw:
        """The answer exactly as received, undecoded; `null` where there is none. Found in the line when asked for."""
        return message_of(self.line)


def message_of(line: bytes) -> msgspec.Raw:
    """Finds the message in a line of a results file."""
    try:
        return _decode(line).result.message
    except (msgspec.DecodeError, RecursionError):
        return msgspec.Raw(b"null")


class Bad(msgspec.Struct, frozen=True):
    """A check's verdict: this answer is not usable, for these reasons. `word` is BAD_OUTPUT (ask again) or REJECTED."""

    reasons: tuple[str, ...]
    word: Word = Word.BAD_OUTPUT

    def __post_init__(self) -> None:
        """Refuse one text in place of several, where it is made: each of its letters would be a reason. And a word that is none."""
        if isinstance(self.reasons, str):
            raise TypeError(f"`reasons` are several texts: Bad(({self.reasons!r},))")
        if not isinstance(self.word, Word) or self.word is Word.OK:  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
            raise TypeError(f"`word` is `Word.BAD_OUTPUT` or `Word.REJECTED`, and this is {self.word!r}")
