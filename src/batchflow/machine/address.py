"""How a row is addressed at the provider: `<token>-<row>`."""

LONGEST = 9
"""Digits of a row's number; whatever has more is none of ours, and may be more than Python reads."""


def custom_id(token: str, row: int) -> str:
    """Name a row."""
    return f"{token}-{row}"


def split_id(address: str) -> tuple[str, int]:
    """Take a row's address apart; a foreign address gives its whole text as token, and row -1."""
    token, dash, row = address.rpartition("-")
    if not dash or len(row) > LONGEST or not row.isascii() or not row.isdigit():
        return address, -1
    return token, int(row)
