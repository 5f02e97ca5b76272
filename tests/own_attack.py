"""A file that registers an attack, and a suite that asks for it beside one of a toolkit."""

PLUGIN = """\
import bench


def direction(x, y):
    return 1 - 2 * x.round()


@bench.register_attack("invert", norms=["linf"], access="decision")
def invert(model, x, y, eps, strength=1.0):
    \"\"\"Moves every pixel towards its opposite, where that changes the label.\"\"\"
    tried = (x + eps * strength * direction(x, y)).clamp(0, 1)
    model(tried)
    return tried
"""

SUITE = """\
title  = "An attack of one's own"
data   = "digits"
images = 20

[[models]]
name = "digits/mlp"

[[attacks]]
name     = "invert"
norm     = "linf"
eps      = "0.4"
strength = [0.5, 1.0]

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = "0.4"
toolkits = ["torchattacks"]
"""


def write(folder):
    """Write both into a folder: `invert.py` and `own.toml`."""
    (folder / "invert.py").write_text(PLUGIN)
    (folder / "own.toml").write_text(SUITE)
    return folder
