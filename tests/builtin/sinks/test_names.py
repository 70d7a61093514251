"""Names of files are made of parts: the same every time, never two of one."""

import re

from hypothesis import given
from hypothesis import strategies as st

from batchflow.lines import spelled

steps = st.lists(st.text(alphabet="ab._-=~ \u00e9\n", max_size=8) | st.text(max_size=300), min_size=1, max_size=4)


@given(st.lists(steps, unique_by="/".join, min_size=2, max_size=20))
def test_two_parts_never_have_one_name_and_each_is_plain(parts):
    names = {spelled("/".join(part).split("/")) for part in parts}
    assert len(names) == len(parts)
    assert all(re.fullmatch(r"[A-Za-z0-9-][\w.-]*", name, re.ASCII) and len(name) <= 200 for name in names)


def test_what_the_engine_calls_a_part_can_be_read():
    assert spelled(["0199-batch", "out", "2"]) == "0199-batch.out.2"
