"""What a file says, such as the names of its parts, on its way to a terminal."""

from __future__ import annotations

LENGTH = 600
"""Characters that a message may have; a file can hold names of any length."""


def escape(text: str, length: int = LENGTH) -> str:
    """``text`` on one line of at most ``length`` characters, with whatever does not print written out.

    Control and direction characters become escapes as Python writes them, so that no name can move the
    cursor, change colours or reorder a line.
    """
    shown = text if len(text) <= length else f"{text[:length]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def first_line(error: BaseException) -> str:
    """What an error says, short enough for one line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


__all__ = ["LENGTH", "escape", "first_line"]
