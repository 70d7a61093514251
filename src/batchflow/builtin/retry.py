"""`standard`: what becomes of a row that did not succeed, word by word.

One table says it all. Words that are the provider's weather are asked again after a while; words that the model can
mend are asked again at once, differently; words that nothing mends are dead letters; and words that would take every
other row down with them pause the run instead of burning it. A policy is pure: waiting grows with the attempt and is
never random, so that a verdict asked for twice is the same.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeAlias

from batchflow.model.units import Doc, Seconds
from batchflow.model.words import BILLED, Word
from batchflow.ports.retry import MOST_ATTEMPTS, Accept, Failure, GiveUp, Pause, Retry, Verdict

Ruling: TypeAlias = Literal["again", "dead", "deliver", "pause"]

DEFAULTS: Mapping[Word, Ruling] = {
    Word.OK: "deliver",
    Word.INVALID: "dead",
    Word.TOO_LARGE: "dead",
    Word.UNKNOWN_MODEL: "dead",
    Word.UNAUTHORIZED: "pause",
    Word.NO_CREDIT: "pause",
    Word.RATE_LIMITED: "again",
    Word.OVERLOADED: "again",
    Word.SERVER_ERROR: "again",
    Word.EXPIRED: "again",
    Word.CANCELED: "dead",
    Word.MISSING: "again",
    Word.ARCHIVED: "pause",
    Word.TRUNCATED: "dead",
    Word.REFUSED: "dead",
    Word.UNFINISHED: "again",
    Word.CONTEXT_EXCEEDED: "dead",
    Word.BAD_OUTPUT: "again",
    Word.REJECTED: "dead",
    Word.BUILD_ERROR: "dead",
    Word.SINK_ERROR: "dead",
}

WAITS: Mapping[Word, float] = {
    Word.OVERLOADED: 1.0,
    Word.SERVER_ERROR: 1.0,
    Word.EXPIRED: 1.0,
    Word.MISSING: 1.0,
    Word.RATE_LIMITED: 10.0,
}
"""How many times `wait` to wait after the first attempt; words that are not here are asked again at once."""
WAIT = 30.0
GROWTH = 4.0
LONGEST_WAIT = 3600.0

PAUSES: Mapping[Word, str] = {
    Word.NO_CREDIT: "the account has no credit left. Add credit or raise its limit, then `batchflow resume`",
    Word.UNAUTHORIZED: "the API key is not accepted. Mend the key, then `batchflow resume`",
    Word.ARCHIVED: "results are past their 29 days at the provider and are gone; they were paid for. To ask those rows again, set `retry: {words: {archived: again}}`, then `batchflow resume`",
}


def standard(
    *,
    attempts: Annotated[int, Doc("How often a row is asked at most, the first time included: 1 to 20.")] = 3,
    wait: Annotated[
        Seconds,
        Doc(
            "How long a row that the provider could not answer waits before its second attempt; then four times as long, up to an hour. Ten times that where the account's rate limit was met."
        ),
    ] = WAIT,
    refused: Annotated[
        Literal["dead", "deliver"], Doc("What a refusal is: a dead letter, or an answer to deliver.")
    ] = "dead",
    truncated: Annotated[
        dict[str, Any] | Literal["dead", "deliver"],
        Doc("Ask again with a larger cap, up to a ceiling: {max_tokens: 2x, ceiling: 2000}; or what a cut answer is."),
    ] = "dead",
    words: Annotated[
        dict[str, Literal["again", "dead", "deliver"]] | None, Doc("What else becomes of a word: {canceled: again}.")
    ] = None,
) -> "StandardPolicy":
    """Asks again where that can help, pauses where nothing would, and gives up on the rest."""
    if attempts < 1:
        raise ValueError(f"attempts counts the first one too, so it is at least 1, not {attempts}")
    if attempts > MOST_ATTEMPTS:
        raise ValueError(f"attempts is at most {MOST_ATTEMPTS}, not {attempts}: each may be paid for")
    larger = _larger(truncated) if isinstance(truncated, dict) else {}
    rulings: dict[Word, Ruling] = {
        **DEFAULTS,
        Word.REFUSED: refused,
        Word.TRUNCATED: truncated if isinstance(truncated, str) else "again",
    }
    rulings |= {_word(name): _allowed(name, ruling) for name, ruling in (words or {}).items()}
    if rulings[Word.TRUNCATED] == "again" and not larger:
        raise ValueError(
            "words: truncated: again would pay for the same cut answer; say truncated: {max_tokens: 2x, ceiling: 2000}"
        )
    return StandardPolicy(attempts=attempts, wait=wait, rulings=rulings, larger=larger)


class StandardPolicy:
    """Rules by word, within a number of attempts."""

    def __init__(
        self, *, attempts: int, wait: float, rulings: Mapping[Word, Ruling], larger: Mapping[str, Any]
    ) -> None:
        self._attempts = attempts
        self._wait = wait
        self._rulings = rulings
        self._larger = larger

    def decide(self, failure: Failure) -> Verdict:
        """Decides what becomes of one failed row. Pausing comes first: it burns no attempt."""
        match self._rulings[failure.word]:
            case "pause":
                return Pause(
                    f"{PAUSES[failure.word]}. Every row is kept. The API said: {failure.message or failure.word}"
                )
            case "deliver":
                return Accept()
            case "again" if failure.attempt < self._attempts:
                return Retry(waiting(self._wait, failure.word, failure.attempt), self._change(failure))
            case _:
                return GiveUp()

    def _change(self, failure: Failure) -> dict[str, Any]:
        """Says how the next request differs, in the words that a provider's `amend` reads."""
        match failure.word:
            case Word.TRUNCATED:
                return dict(self._larger)
            case Word.BAD_OUTPUT:
                return {"say": failure.message.splitlines()}
            case Word.UNFINISHED:
                return {"continue": True}
            case _:
                return {}


def waiting(wait: float, word: Word, attempt: int) -> float:
    """Seconds to wait after this attempt: 30 s, 2 min, 8 min ... an hour; ten times that where we asked too fast."""
    return min(wait * WAITS.get(word, 0.0) * GROWTH ** (attempt - 1), LONGEST_WAIT)


def _larger(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Reads `{max_tokens: 2x, ceiling: 2000}`."""
    ceiling = setting.get("ceiling")
    if setting.keys() - {"max_tokens", "ceiling"} or not isinstance(ceiling, int) or ceiling < 1:
        raise ValueError("truncated is {max_tokens: 2x, ceiling: 2000}: how the cap grows, and how far")
    return {"max_tokens": {"factor": _factor(setting.get("max_tokens", "2x")), "ceiling": ceiling}}


def _factor(written: Any) -> float:
    try:
        factor = float(str(written).removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 1.0 < factor < float("inf"):
        raise ValueError(f"truncated.max_tokens says by how much the cap grows, like 2x, not {written!r}")
    return factor


def _word(name: str) -> Word:
    if name in DEFAULTS:
        return Word(name)
    near = get_close_matches(name, [str(word) for word in DEFAULTS], 1)
    raise ValueError(
        f"words: there is no outcome {name!r}; "
        + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(DEFAULTS)}")
    )


def _allowed(name: str, ruling: Ruling) -> Ruling:
    word = Word(name)
    if word in {Word.NO_CREDIT, Word.UNAUTHORIZED}:
        raise ValueError(f"words: {name} always pauses the run: anything else would bury good rows")
    if ruling == "deliver" and word not in BILLED:
        raise ValueError(f"words: {name} leaves no answer that could be delivered; say again or dead")
    return ruling
