"""Harvest: one pass over a results file while it is downloaded. Every row gets a word, and the money is added up."""

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter, itemgetter

import msgspec

from batchflow.machine.address import split_id
from batchflow.machine.cost import token_counts, total, unpriced
from batchflow.model.money import Nano
from batchflow.model.result import Answer
from batchflow.model.words import BILLED, Word
from batchflow.ports.prices import Prices
from batchflow.stages.objects import NO_ROW

WORDS = tuple(Word)
CODES: "dict[Word, int]" = {word: code for code, word in enumerate(WORDS, 1)}
"""Words as bytes: 0 is a row without a line."""
_BILLED = frozenset(CODES[word] for word in BILLED)
_numbers = msgspec.json.Decoder(list[int]).decode


@dataclass(slots=True)
class Money:
    """What some rows cost."""

    paid: int = 0
    listed: int = 0
    rows: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unpriced: set[str] = field(default_factory=set[str])


class Harvest:
    """What a batch's result lines say, row by row. Of several lines for one row a success wins, and the first of equals."""

    def __init__(self, count: int, tokens: Collection[str], prices: Prices, reserved: Nano = 0) -> None:
        self.words = bytearray(count)
        self.money = Money()
        self.extra = Money()
        """Answers that were paid for and lost to an earlier success of the same row in another remote batch."""
        self.malformed = 0
        self.foreign = 0
        self.repeated = 0
        self.stranger = ""
        """The token of the first foreign line."""
        self._tokens = frozenset(tokens)
        self._opening = next(iter(self._tokens), "") + "-"
        self._prices = prices
        self._at_most = unpriced(reserved, count)
        """What a row may have cost: booked for an answer that names a model of no known price, so that a budget holds."""

    def take(self, answers: Sequence[Answer], order: "array[int]", earlier: "Sequence[array[int]]" = ()) -> None:
        """Book some answers; `order` gets the row of each line, `earlier` are the orders of parts downloaded before."""
        rows = self._good_rows(answers)
        if rows is None:
            self._take_each(answers, order, earlier)
            return
        words, code = self.words, CODES[Word.OK]
        for row in rows:
            words[row] = code
        order.extend(rows)
        self._book(answers, self.money)

    def _good_rows(self, answers: Sequence[Answer]) -> list[int] | None:
        """Read the rows of answers that are all good, ours, and the first of their rows; None where any is not."""
        words, opening = self.words, f"\n{self._opening}"
        names = [f"\n{answer.custom_id}" for answer in answers]
        # A name that is none of ours stays a part of the one before it, with its newline.
        first, *digits = "".join(names).split(opening)
        together = "".join(digits)
        if first or len(digits) != len(names) or not (together.isascii() and together.isdecimal()):
            return None
        if {answer.word for answer in answers} != {Word.OK}:
            return None
        try:
            rows = _numbers(f"[{','.join(digits)}]")
        except msgspec.DecodeError:
            return None
        if max(rows) >= len(words) or len(set(rows)) < len(rows) or any(itemgetter(*rows, rows[0])(words)):
            return None
        return rows

    def _take_each(self, answers: Sequence[Answer], order: "array[int]", earlier: "Sequence[array[int]]") -> None:
        words, codes, count = self.words, CODES, len(self.words)
        billed: list[Answer] = []
        for answer in answers:
            row, word = self._row(answer.custom_id), answer.word
            if word is None or not 0 <= row < count:
                self._set_aside(answer)
                order.append(NO_ROW)
            elif words[row] == 0:
                words[row] = codes[word]
                order.append(row)
                if word in BILLED:
                    billed.append(answer)
            else:
                order.append(self._again(answer, row, order, earlier))
        self._book(billed, self.money)

    def _row(self, address: str) -> int:
        """Read the row out of an address of ours; -1 for any other."""
        token, row = split_id(address)
        return row if token in self._tokens else -1

    def _set_aside(self, answer: Answer) -> None:
        """Count a line that cannot be read, or is somebody else's."""
        if answer.word is None:
            self.malformed += 1
        else:
            self.foreign += 1
            self.stranger = self.stranger or split_id(answer.custom_id)[0]

    def _again(self, answer: Answer, row: int, order: "array[int]", earlier: "Sequence[array[int]]") -> int:
        """Judge a second line for a row: it wins only if it is a success and the first was not."""
        assert answer.word is not None
        code = CODES[answer.word]
        if code in _BILLED and self.words[row] not in _BILLED:
            for lines in (*earlier, order):
                if row in lines:
                    lines[lines.index(row)] = NO_ROW
            self.words[row] = code
            self._book([answer], self.money)
            return row
        self.repeated += 1
        if code in _BILLED and row not in order:
            self._book([answer], self.extra)
        return NO_ROW

    def _book(self, answers: Sequence[Answer], money: Money) -> None:
        """Add up what some billed rows cost."""
        for model, some in groupby(answers, attrgetter("model")):
            usages = [answer.usage for answer in some]
            price = self._prices.price(model)
            if price is None:
                money.unpriced.add(model)
                money.paid += self._at_most[0] * len(usages)
                money.listed += self._at_most[1] * len(usages)
            else:
                paid, listed = total(price, usages, batch=True)
                money.paid += paid
                money.listed += listed
            money.rows += len(usages)
            read, written = token_counts(usages)
            money.input_tokens += read
            money.output_tokens += written

    @property
    def theirs(self) -> bool:
        """Tell whether every line is somebody else's. One stray line among ours does not make a batch foreign."""
        return bool(self.stranger) and not any(self.words)

    def total(self) -> Money:
        """Add what was lost to what was kept: all of it was paid."""
        kept, lost = self.money, self.extra
        return Money(
            paid=kept.paid + lost.paid,
            listed=kept.listed + lost.listed,
            rows=kept.rows + lost.rows,
            input_tokens=kept.input_tokens + lost.input_tokens,
            output_tokens=kept.output_tokens + lost.output_tokens,
            unpriced=kept.unpriced | lost.unpriced,
        )

    @property
    def missing(self) -> int:
        """Count the rows without a line."""
        return self.words.count(0)

    @property
    def succeeded(self) -> int:
        """Count the rows with a billed answer."""
        return sum(self.words.count(code) for code in _BILLED)

    def rows_not_ok(self) -> list[int]:
        """List the rows that need a verdict."""
        ok = CODES[Word.OK]
        if self.words.count(ok) == len(self.words):
            return []
        return [row for row, code in enumerate(self.words) if code != ok]
