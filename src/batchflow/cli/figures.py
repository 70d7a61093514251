"""Numbers as people read them."""

from datetime import datetime

MINUTE, HOUR, DAY = 60, 3600, 86400


def span(seconds: float) -> str:
    """Write a length of time: `4.2 s`, `42 s`, `12m 30s`, `3h 05m`, `2d 4h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE:02d}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02d}m"
    return f"{whole // DAY}d {whole % DAY // HOUR}h"


def share(part: int, whole: int) -> str:
    """Write a share in percent, never rounding a failure away: 9,999 of 10,000 is no 100%."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    if part < whole and percent > 99.9:
        return ">99.9%"
    return f"{percent:.1f}%".replace(".0%", "%")


def moment_of(instant: str) -> str:
    """Write a point in time as people read it, in their own zone."""
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def lately(instant: str) -> str:
    """Write a point in time as shortly as it can be understood: the time if it is of today, else the day."""
    at = datetime.fromisoformat(instant).astimezone()
    return at.strftime("%H:%M" if at.date() == datetime.now().astimezone().date() else "%Y-%m-%d")


def size(number: int) -> str:
    """Write a number of bytes."""
    if number < 1_000_000:
        return f"{number / 1000:,.0f} kB"
    return f"{number / 1e6:,.1f} MB" if number < 1_000_000_000 else f"{number / 1e9:,.1f} GB"


def count(number: int, thing: str, things: str = "") -> str:
    """Write how many: `1 batch`, `1,200 batches`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"
