"""A filter for prompts: `{{ text | your_part }}`. What it gives depends on its arguments and on nothing else."""

import re

NAME = re.compile(r"[A-Za-z][\w-]*")


def fenced(text: str, tag: str = "text") -> str:
    """Put a text between tags which it cannot close itself, whatever stands in it."""
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a column may hold anything
        raise TypeError(f"only a text can be put between tags, not {text!r}")
    if not NAME.fullmatch(tag):
        raise ValueError(f"{tag!r} is no name of a tag")
    harmless = re.sub(rf"<(?=\s*/?\s*{re.escape(tag)}\b)", "&lt;", text, flags=re.IGNORECASE)
    return f"<{tag}>\n{harmless}\n</{tag}>"
