"""Scripted and traced networks as bytes: the files that `torch.jit.save` would write."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

#: A name with the number that torch.jit gave it, in the order in which a process met such names.
_MANGLED = re.compile(r"[./]?___torch_mangle_\d+")
#: Such a name, or the device of a tensor (its length, then the text), in a pickled file.
_PLACES = re.compile(rb"[./]?___torch_mangle_\d+|X.\x00\x00\x00(cpu|cuda:\d+)", re.DOTALL)
_FINAL = re.compile(rb"^  \w+ : Final\[.*\n", re.MULTILINE)
#: Files that say when and where a network was written.
_ABOUT_THE_FILE = (".debug_pkl", "serialization_id", "/version")


def script_files(module: Any) -> list[tuple[str, bytes]]:
    """Return the names and bytes of the files of a scripted network, equal in every process.

    Its code and weights lie beyond Python, so no walk over attributes would see them.
    """
    with zipfile.ZipFile(io.BytesIO(module._c.save_to_buffer())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return sorted(
        (without_mangling(name.partition("/")[2]), _constants_last(_PLACES.sub(b"", data)))
        for name, data in files.items()
        if not name.endswith(_ABOUT_THE_FILE)
    )


def without_mangling(text: str) -> str:
    """Return a text without the numbers that torch.jit adds to names."""
    return _MANGLED.sub("", text)


def _constants_last(data: bytes) -> bytes:
    """Return a file with its constants sorted at the end: torch.jit writes them in any order."""
    constants = sorted(_FINAL.findall(data))
    return b"".join([_FINAL.sub(b"", data), *constants])
