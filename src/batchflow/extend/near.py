"""Did you mean: the known names that look most like what was written."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, known: Iterable[str]) -> list[str]:
    """Find the known names nearest to a misspelt one, best first."""
    choices = {choice.casefold(): choice for choice in known}
    return [choices[match] for match in get_close_matches(name.casefold(), choices, n=3, cutoff=0.6)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say what was probably meant, and everything that would have been right."""
    names = sorted(known)
    guesses = " or ".join(f"`{guess}`" for guess in near(name, names))
    listed = ", ".join(names) or "none"
    return f"did you mean {guesses}? known: {listed}" if guesses else f"known: {listed}"
