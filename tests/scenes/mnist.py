"""A tiny MNIST of random images, in the files of the real one."""

import gzip
import struct

import numpy as np


def write_mnist(root, count=7):
    """Lay out a tiny MNIST as torchvision does after a download."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        images = struct.pack(">IIII", 0x803, count, 28, 28) + pixels.tobytes()
        classes = struct.pack(">II", 0x801, count) + labels.tobytes()
        for name, payload in (("images-idx3", images), ("labels-idx1", classes)):
            (raw / f"{part}-{name}-ubyte").write_bytes(payload)
            with gzip.open(raw / f"{part}-{name}-ubyte.gz", "wb") as file:
                file.write(payload)
    return pixels, labels
