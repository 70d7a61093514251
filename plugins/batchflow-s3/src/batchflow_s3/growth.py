"""How large the parts of an upload are, so that the number that a server takes is enough for any object.

An upload's size is not known when it begins, and S3 takes 10,000 parts of 5 MiB to 5 GiB. Parts of one size would be too
many for a large object or hold too much memory for a small one, so parts double every so often: 8 MiB for the first
1,000 (8 GiB), 16 MiB for the next 1,000 (24 GiB), and so on. 200 GB end at part 4,553, in parts of 128 MiB; 10,000 parts
hold 8 TiB. Parts between two doublings are equal, which some servers ask for.
"""

import msgspec

MIB = 1024 * 1024


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """The rule, and the limits of the server that it keeps to."""

    first: int = 8 * MIB
    every: int = 1000
    parts: int = 10_000
    largest: int = 5 * 1024 * MIB

    def size(self, number: int) -> int:
        """Gives the bytes of a part, which is counted from 1."""
        return min(self.first << ((number - 1) // self.every), self.largest)

    def room(self) -> int:
        """Gives the bytes that all parts hold together."""
        return sum(self.size(number) for number in range(1, self.parts + 1))


S3 = Growth()
