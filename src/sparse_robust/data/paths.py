"""Paths as users write them, and folders of the user's own."""

import os
from pathlib import Path

import platformdirs


def path_of(text: Path | str) -> Path:
    """``text`` as a path, with the home folder for ``~``, which shells leave alone in quotes and variables.

    Raises:
        FileNotFoundError: if it is the home folder of nobody.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise FileNotFoundError(f"{text}: no home folder is known for ~; write the path out") from None


def user_folder(variable: str) -> Path:
    """The folder that an environment variable names, else the user's cache folder of this package.

    Raises:
        FileNotFoundError: if it is in the home folder of nobody, as where HOME is not set and the system does
            not know the user, in containers for example.
    """
    if folder := os.environ.get(variable):
        return path_of(folder)
    try:
        return path_of(platformdirs.user_cache_path("sparse-robust"))
    except (RuntimeError, FileNotFoundError):
        raise FileNotFoundError(
            f"no home folder is known of this user, so there is no cache folder: name one with {variable}"
        ) from None
