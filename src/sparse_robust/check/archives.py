"""Zip archives as PyTorch writes them, read so that a small file stays small."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from .limits import MAX_TEXT
from .model import ModelError

MAX_MEMBERS = 100_000
"""Files in an archive; a network has some hundreds of tensors."""


class Archive:
    """An archive whose members lie in it as they are, one after the other.

    PyTorch compresses nothing. So all members together are at most as long as the archive, and one that
    unpacks to more, or lets members share their bytes, was made to waste memory.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        """Look at the directory of ``archive``, which was opened from ``path``.

        Raises:
            ModelError: if two members have one name, or a member is compressed.
        """
        members = archive.infolist()
        self.names = tuple(member.filename for member in members)
        self.left = path.stat().st_size
        self._archive = archive
        if len(members) > MAX_MEMBERS:
            raise ModelError(f"an archive of {len(members)} files; at most {MAX_MEMBERS} are read")
        if len({name.lower() for name in self.names}) < len(members):
            raise ModelError(
                "an archive with two files of one name, of which readers differ in what they take"
            )
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED:
                raise ModelError(
                    f"an archive whose member {member.filename} is compressed, which PyTorch does not do; "
                    "save it again with torch.export.save"
                )

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            KeyError: if there is no such member.
            ModelError: if more would be read than the archive is long.
        """
        self.left -= self._archive.getinfo(name).file_size
        if self.left < 0:
            raise ModelError("an archive whose files are longer than itself; save it again")
        return self._archive.read(name)

    def json(self, name: str) -> Any:
        """The content of a member in JSON.

        Raises:
            ModelError: if it is too long.
        """
        if self._archive.getinfo(name).file_size > MAX_TEXT:
            raise ModelError(f"{name} is longer than {MAX_TEXT:,} bytes")
        return json.loads(self.read(name))


__all__ = ["Archive"]
