"""`Quotes` must see a record end exactly where `csv` sees it end."""

import csv
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.sources.quotes import Quotes


@settings(max_examples=400)
@given(text=st.text(alphabet='a,"\n', max_size=30), cuts=st.lists(st.integers(0, 30), max_size=5))
def test_records_end_where_csv_ends_them_however_the_bytes_are_cut(text, cuts):
    lines = [f"{line}\n" for line in text.split("\n")]
    reader = csv.reader(iter(lines))
    ends = [reader.line_num for _ in reader]
    if ends and _open_at(lines[: ends[-1]], cuts):
        ends.pop()  # csv ends an open cell at the end of the file without a word
    assert [end for end in ends if end < len(lines)] == [end for end in _ends(lines, cuts) if end < len(lines)]


def _ends(lines, cuts):
    ends, quotes = [], Quotes(",")
    for number, line in enumerate(lines, 1):
        _feed(quotes, line, cuts)
        if not quotes.open:
            ends.append(number)
            quotes = Quotes(",")
    return ends


def _open_at(lines, cuts):
    quotes = Quotes(",")
    for line in lines:
        _feed(quotes, line, cuts)
    return quotes.open


def _feed(quotes, line, cuts):
    edges = sorted({0, *(cut for cut in cuts if cut < len(line)), len(line)})
    for start, end in pairwise(edges):
        quotes.feed(line[start:end].encode())
