"""Perturbations fitted for a cell: an array, a picture of it, and facts of the fit.

Both files are named by their content and written before `fit.json`, which refers to them.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import StoreError
from bench.store.files import atomic_write

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

_PIXELS = 224  # width a picture is enlarged to, so that no viewer smooths its pixels away


def write_fit(folder: Path, v: torch.Tensor, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write a perturbation and its picture into the folder of a cell; return its record.

    Args:
        folder: of the cell.
        v: float32 (C, H, W).
        facts: plain JSON values.

    Raises:
        StoreError: the disk is full.
    """
    from safetensors.torch import save

    v = v.detach().cpu().contiguous()
    data = save({"v": v})
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"perturbation-{sha256[:8]}"
    recorded = {
        **facts,
        "file": f"{name}.safetensors",
        "picture": f"{name}.png",
        "bytes": len(data),
        "sha256": sha256,
    }
    atomic_write(folder / "arrays" / recorded["picture"], picture(v.numpy()))
    atomic_write(folder / "arrays" / recorded["file"], data)
    atomic_write(folder / "fit.json", (json.dumps(recorded, indent=1) + "\n").encode())
    return recorded


def read_fit(folder: Path) -> tuple[torch.Tensor, dict[str, Any]] | None:
    """Return the perturbation last fitted for a cell and its record; None without an intact one."""
    try:
        recorded: dict[str, Any] = json.loads((folder / "fit.json").read_bytes())
        return read_perturbation(folder, recorded), recorded
    except (OSError, ValueError, StoreError):
        return None


def read_perturbation(folder: Path, recorded: Mapping[str, Any]) -> torch.Tensor:
    """Return a perturbation, float32 (C, H, W), by its record.

    Raises:
        StoreError: its file is missing or damaged.
    """
    from safetensors.torch import load

    check_perturbation(folder, recorded)
    path = folder / "arrays" / recorded["file"]
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != recorded["sha256"]:
        raise _damaged(path)
    return load(data)["v"]


def check_perturbation(folder: Path, recorded: Mapping[str, Any] | None) -> None:
    """Check that the file of a perturbation exists in its full size; None means no perturbation.

    Raises:
        StoreError: it is missing or damaged.
    """
    if recorded is None:
        return
    path = folder / "arrays" / str(recorded["file"])
    if not path.is_file() or path.stat().st_size != recorded["bytes"]:
        raise _damaged(path)


def _damaged(path: Path) -> StoreError:
    return StoreError(
        f"{path} is missing or damaged; make it again with: bench run --suite NAME --overwrite missing"
    )


def picture(v: NDArray[np.float32]) -> bytes:
    """Return a perturbation (C, H, W) as PNG: 0 is grey, the largest entry is white or black."""
    import numpy as np
    from PIL import Image

    largest = float(np.abs(v).max()) or 1.0
    pixels = np.rint(255 * (0.5 + 0.5 * v / largest)).astype(np.uint8)
    times = max(1, round(_PIXELS / v.shape[-1]))
    pixels = pixels.repeat(times, axis=1).repeat(times, axis=2)
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    file = io.BytesIO()
    image.save(file, format="png")
    return file.getvalue()
