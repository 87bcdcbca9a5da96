"""Paths as users write them."""

from pathlib import Path


def path_of(text: Path | str) -> Path:
    """``text`` as a path, with the home folder for ``~``, which shells leave alone in quotes and variables.

    Raises:
        FileNotFoundError: if it is the home folder of nobody.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise FileNotFoundError(f"{text}: no home folder is known for ~; write the path out") from None
