"""How a row is addressed at the provider: `<token>-<row>`."""


def custom_id(token: str, row: int) -> str:
    """Name a row."""
    return f"{token}-{row}"


def split_id(address: str) -> tuple[str, int]:
    """Take a row's address apart; a foreign address gives its whole text as token, and row -1."""
    token, dash, row = address.rpartition("-")
    if not dash or not row.isascii() or not row.isdigit():
        return address, -1
    return token, int(row)
