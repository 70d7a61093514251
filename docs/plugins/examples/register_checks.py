"""A check that redacts before any sink sees a row. In a job file: `checks: [{type: no_addresses}]`."""

import re

import msgspec

from batchflow import Plugins
from batchflow.plugin import Bad, Register, Result, Word, hookimpl

ADDRESS = re.compile(r"[\w.]+@\w+(\.\w+)+")


class NoAddresses:
    """Replaces mail addresses. It empties `line`, too, which holds the answer as it was received."""

    def check(self, result: Result) -> Result | Bad:
        if len(ADDRESS.findall(result.text)) > 10:
            return Bad(("the answer lists people",), Word.REJECTED)
        return msgspec.structs.replace(result, text=ADDRESS.sub("(address)", result.text), line=b"")


def no_addresses() -> NoAddresses:
    """Keep mail addresses out of what is delivered."""
    return NoAddresses()


class House:
    @hookimpl
    def register_checks(self, register: Register) -> None:
        register("no_addresses", no_addresses)


check = Plugins([House()]).check("no_addresses")()
row = Result(key="a", word=Word.OK, attempt=1, batch="b", row=0, origin="in:1", carried={}, text="Ask jo@example.org.")
passed = check.check(row)
assert isinstance(passed, Result)
assert (passed.text, passed.line) == ("Ask (address).", b"")
