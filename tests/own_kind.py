"""A file that adds a kind of rows, and a suite that asks for it."""

PLUGIN = """\
import bench
from bench.attacks.row import Attack, Parameter
from bench.runner.task import Chunk, rows_of
from bench.spec import Measurement, RowKind


def mean_logits(task, part):
    labels, scores = task.clean_of(part).prediction
    power = task.spec.parameter("power")
    rows = rows_of(task, part, "logits", {
        "clean_label": labels.tolist(),
        "correct": (labels == part.y).tolist(),
        "adv_margin": scores.abs().pow(power).mean(1).tolist(),
        "forwards": 1,
    })
    return Chunk(rows, part.x, part.x)


def refuses(adapter):
    return "has no logits" if adapter.spec.scores != "logits" else None


bench.register_kind(bench.Kind(
    rows=RowKind(
        name="logits", attacks=False, predicts=True,
        measures=Measurement("adv_margin", "mean logit", "measured"),
    ),
    compute=mean_logits,
    asked_by=Attack(
        name="mean-logit", norms={"l2": ("native",)}, minimal=True, access="decision", rows="logits",
        irreducible="it attacks nothing", note="the mean absolute value of the logits",
        parameters={"power": Parameter("count", 1, least=1, meaning="of each absolute value")},
    ),
    refuses=refuses,
    pictures=False,
    passes=lambda parameters: 1,
))


@bench.register_model("votes", data="digits")
def votes():
    return bench.wrap_predict(lambda x: [0] * len(x), 10, (1, 8, 8))
"""

SUITE = """\
title  = "Logits"
data   = "digits"
images = 30

[[models]]
name = ["digits/mlp", "votes"]

[[attacks]]
name     = "fgsm"
norm     = "linf"
eps      = "0.1"
toolkits = ["torchattacks"]

[[attacks]]
name  = "mean-logit"
norm  = "l2"
power = [1, 2]
"""


def write(folder):
    """Write both into a folder: `logits.py` and `logits.toml`."""
    (folder / "logits.py").write_text(PLUGIN)
    (folder / "logits.toml").write_text(SUITE)
    return folder
