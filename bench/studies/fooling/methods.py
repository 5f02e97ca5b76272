"""The study's tables without measured figures: its methods, and the shapes of its networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.attacks import catalogue
from bench.attacks.described import described
from bench.report.blocks import Column, Say, Table, tabulate
from bench.studies.fooling.architectures import stages

#: What an attack uses of a model and of images, by its access and whether it is fitted.
_USES = {
    ("white", False): "the image; gradients of the network",
    ("score", False): "the image; probabilities of the classes",
    ("white", True): "many images; gradients of the network",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of table 10.1.

    Attributes:
        name: in our catalogue, which says what it uses, whether it can be targeted and what parameters mean.
        problem: what it looks for.
        parameters: those that the study names; which, in our words.
    """

    name: str
    called: str
    problem: str
    good: str
    bad: str
    parameters: tuple[str, ...]


METHODS = (
    Method(
        name="l-bfgs", called="L-BFGS",
        problem="the smallest l2 perturbation that gives the wanted class, as a weighted sum of size and loss",
        good="pixels stay within their bounds",
        bad="slow: a whole optimisation for each weight; hopeless for large images",
        parameters=("c",),
    ),
    Method(
        name="fgsm", called="FGSM",
        problem="the step within the linf ball that raises the loss most, were it linear",
        good="one gradient: the fastest; size known beforehand",
        bad="a coarse approximation, and no measure of robustness: its size is given",
        parameters=("eps",),
    ),
    Method(
        name="deepfool", called="DeepFool",
        problem="the smallest lp perturbation that changes the class, by steps to the nearest linearised "
        "boundary",
        good="close to the smallest; a few steps",
        bad="needs gradients of all classes; without a clip, pixels leave their bounds",
        parameters=("overshoot",),
    ),
    Method(
        name="sparsefool", called="SparseFool",
        problem="few changed pixels: the smallest l1 perturbation within bounds, towards the boundary that "
        "DeepFool finds",
        good="nearly always fools; bounds on every pixel",
        bad="slower than DeepFool, which it runs in each step; needs gradients",
        parameters=("lambda", "box"),
    ),
    Method(
        name="one-pixel", called="one-pixel attack",
        problem="the colours and places of at most d pixels that lower the probability of the class most, or "
        "raise that of the wanted one",
        good="simple; needs no gradient",
        bad="often fails; thousands of queries an image",
        parameters=("eps",),
    ),
    Method(
        name="universal", called="universal perturbation",
        problem="one perturbation of at most the given norm that changes the class of most images",
        good="costs nothing on a new image; carries over to other networks",
        bad="slow to fit; plainly visible at the norms that it needs",
        parameters=("eps", "delta"),
    ),
)  # fmt: skip


def methods_table() -> Table:
    """Return table 10.1: what each method needs, looks for, can do and takes."""
    columns: dict[Column, Say] = {
        Column("method", "subject"): "called",
        Column("uses", share=3): lambda row: _USES[_access(row.name)],
        Column("looks for", share=4): "problem",
        Column("targeted"): lambda row: "can be" if _record(row.name)["targeted"] else "no",
        Column("for it", share=3): "good",
        Column("against it", share=3): "bad",
        Column("parameters", share=4): lambda row: _meanings(row.name, row.parameters),
    }
    found = pd.DataFrame(
        {
            field: [getattr(method, field) for method in METHODS]
            for field in ("name", "called", "problem", "good", "bad", "parameters")
        }
    )
    return tabulate(
        found, columns,
        "Published table 10.1. The methods: what they use, look for and take. Uses, targets and parameters "
        "are those of the implementations in this run.",
        name="table-10.1", group="",
    )  # fmt: skip


def _record(name: str) -> dict[str, Any]:
    return catalogue.record(catalogue.row_of(name))


def _access(name: str) -> tuple[str, bool]:
    return catalogue.access(name), catalogue.is_fitted(name)


def _meanings(name: str, parameters: Sequence[str]) -> str:
    meanings = {given["name"]: given["meaning"] for given in described(name)["parameters"]}
    return "; ".join(f"{parameter}: {meanings[parameter]}" for parameter in parameters)


#: The networks that have a table, and its number; the study gives Inception v3 in words alone.
ARCHITECTURES = {
    "11.1": "resnet50", "11.2": "densenet169", "11.3": "mobilenet-v2", "11.2.4": "inception-v3"
}  # fmt: skip
_REMARKS = {
    "11.3": "The published table omits bottleneck 7, without which the published count is not met, and "
    "gives bottleneck 2 a stride of 2 on CIFAR-10 too, where the weights it used have 1.",
    "11.2.4": "The study prints no table of this network.",
}


def architecture_table(number: str, called: str, counts: pd.DataFrame) -> Table:
    """Return a table of a network, in the form for CIFAR-10 and, where it differs, in that for ImageNet.

    Args:
        number: of the published table.
        called: the network.
        counts: its parameters, rows of `bench.studies.fooling.beside.beside`.
    """
    model = ARCHITECTURES[number]
    full, slim = (stages(model, "cifar10", slim=narrow) for narrow in (False, True))
    large = stages(model, "imagenet")
    rows = pd.DataFrame({
        "stage": list(full),
        "layers": [_layers(stage.block, stage.blocks) for stage in full.values()],
        "size": [f"{stage.size}x{stage.size}" for stage in full.values()],
        "channels": [str(stage.channels) for stage in full.values()],
        "slim": [str(stage.channels) for stage in slim.values()],
        "large": [f"{stage.size}x{stage.size}" for stage in large.values()],
        "other": [
            "" if large[name].block == stage.block else _layers(large[name].block, large[name].blocks)
            for name, stage in full.items()
        ],
    })  # fmt: skip
    columns: dict[Column, Say] = {
        Column("stage", "subject"): "stage",
        Column("layers on CIFAR-10", share=3): "layers",
        Column("output", "number"): "size",
        Column("channels", "number"): "channels",
        Column("channels, slim", "number"): "slim",
        Column("output on ImageNet", "number"): "large",
        Column("other layers there", share=2): "other",
    }
    notes = (_counted(counts), *([_REMARKS[number]] if number in _REMARKS else []))
    return tabulate(
        rows, columns,
        f"Published table {number}. {called}: convolutions of the first block of a stage with the channels "
        "of each (/2: of stride 2), how many blocks, and the output, as a forward pass of our networks shows "
        "them. The published sizes are those of ImageNet.",
        name=f"table-{number}", group="", notes=notes,
    )  # fmt: skip


def _layers(block: str, blocks: int) -> str:
    return f"{block}; {blocks} blocks" if blocks > 1 else block


def _counted(counts: pd.DataFrame) -> str:
    """Return the parameters of the forms of a network in words, with the published counts."""
    kinds: Mapping[tuple[str, str], str] = {
        ("cifar10", ""): "CIFAR-10", ("cifar10", "slim"): "slim", ("imagenet", ""): "ImageNet",
    }  # fmt: skip
    said = {
        kinds[row["data"], row["further"]]: f"{row['ours']:,.0f}"
        + ("" if row["further"] else f" (published {row['published']:,.0f})")
        for row in counts.to_dict("records")
    }
    return "Parameters: " + "; ".join(f"{kind} {count}" for kind, count in said.items()) + "."
