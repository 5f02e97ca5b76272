"""The files that `bench attack` and `bench export` leave: names that no other has, and images without loss."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.report.pixels import png_bytes, to_picture
from bench.store.files import atomic_write

#: The option that messages name where a folder cannot be written.
ELSEWHERE = "--out DIR"


def stem(*parts: str) -> str:
    """Return the beginning of a file's name from what is in the file: `digits-cnn-test-7-fgsm-linf-0.1`."""
    return "-".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts if part)


def attacked_files(image: NDArray[np.float32]) -> dict[str, bytes]:
    """Return an attacked image (C, H, W) without loss and as a picture of 8 bits, by the end of the name."""
    array = io.BytesIO()
    np.save(array, image, allow_pickle=False)
    return {
        "-attacked.npy": array.getvalue(),
        "-attacked.png": png_bytes(to_picture(image)),
    }


def write_beside(
    folder: Path, begin: str, contents: Mapping[str, bytes], elsewhere: str = ELSEWHERE
) -> list[Path]:
    """Write files that belong together, under names that no file with another content has.

    Where one has, all names get a number, `-2`, `-3` and so on. Files of the same content are left.

    Args:
        folder: where they go; created if it is missing.
        begin: how all names begin.
        contents: of each file, by how its name ends.
        elsewhere: the option that names another folder, for messages.

    Returns:
        The files, in the order of `contents`.

    Raises:
        StoreError: they cannot be written.
    """
    turn, paths = 1, _named(folder, begin, contents, 1)
    while any(_holds_another(path, content) for path, content in paths.items()):
        turn += 1
        paths = _named(folder, begin, contents, turn)
    for path, content in paths.items():
        if not path.exists():
            atomic_write(path, content, elsewhere)
    return list(paths)


def _named(folder: Path, begin: str, contents: Mapping[str, bytes], turn: int) -> dict[Path, bytes]:
    number = "" if turn == 1 else f"-{turn}"
    return {folder / f"{begin}{number}{end}": content for end, content in contents.items()}


def _holds_another(path: Path, content: bytes) -> bool:
    return path.exists() and (not path.is_file() or path.read_bytes() != content)
