"""Galleries of FGSM, DeepFool, SparseFool and L-BFGS: images, what was added to them, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from bench.report.blocks import Figure
from bench.report.drawing import NORM
from bench.report.findings import Findings
from bench.studies.fooling.attempts import Attempt, attempts_of, by_model, varied
from bench.studies.fooling.selection import (
    DENSENET,
    INCEPTION,
    RESNET,
    find_cells,
    network,
    same_value,
)
from bench.studies.fooling.tiles import Layout, Row, Tile, sheet

#: What is written below each picture.
_BELOW = "Perturbations are around grey, times the factor below; words are slanted where the attack failed."
Words = Callable[[Attempt], str]


# ---- one image at growing eps: figure 12.1 ----


def growing_eps_figure(findings: Findings) -> Figure | None:
    """Return one image under FGSM at growing eps, right at the first and fooled at the last."""
    results = findings.results
    cells = find_cells(results, "fgsm", {"norm": "linf", "targeted": "none"})
    cells = cells[cells["loss"] == ("logit" if "logit" in set(cells["loss"]) else "ce")]
    model = network(results, cells, INCEPTION)
    cells = cells[cells["model"] == model].sort_values("radius")
    columns = {str(cell["eps"]): attempts_of(results, cell) for cell in cells.to_dict("records")}
    columns = {eps: attempts for eps, attempts in columns.items() if attempts}
    shared = set.intersection(*map(set, columns.values())) if columns else set()
    if not shared or len(columns) < 2:
        return None
    first, *_, last = columns.values()
    index = min(shared, key=lambda at: (first[at].fooled, not last[at].fooled, at))
    shown = [attempts[index] for attempts in columns.values()]
    row = Row([shown[0].original(), shown[-1].added("linf"), *(one.tried() for one in shown)])
    heads = ("original", "added", *(f"$\\varepsilon$ = {eps}" for eps in columns))
    return Figure(
        name="fgsm-eps",
        caption=f"Image {index} of the split under FGSM at growing eps, on {findings.called(str(model))} (n = 1): the "
        f"original, what was added at the largest eps, and the image tried. {_BELOW} Figure 12.1 of the study.",
        pdf=sheet([row], Layout((1,) * len(row.tiles), heads)),
    )


# ---- a few images on every network ----


def every_network(
    found: Mapping[str, Mapping[int, Attempt]],
    count: int,
    norms: Sequence[str],
    more: Words | None = None,
) -> tuple[bytes, int] | None:
    """Return a few images on every network, and how many: the original, what was added, the image tried.

    Args:
        found: what was done on each network, by what it is called.
        count: how many images at most.
        norms: that stand below what was added.
        more: further words below the image tried.
    """
    indices = varied(list(found.values()), count)
    if not indices:
        return None
    rows = []
    for index in indices:
        attempts = [of_model[index] for of_model in found.values()]
        pairs = [(one.added(*norms), one.tried(more(one) if more else "")) for one in attempts]
        original = Tile(image=attempts[0].x, below=_true_class(attempts[0]))
        rows.append(Row([original, *(tile for pair in pairs for tile in pair)]))
    heads = ("original", *found)
    return sheet(rows, Layout((1, *(2,) * len(found)), heads)), len(indices)


def called_by_model(findings: Findings, cells: pd.DataFrame) -> dict[str, dict[int, Attempt]]:
    """Return what was done on each network, by what it is called."""
    found = by_model(findings.results, cells)
    return {findings.called(model): attempts for model, attempts in found.items()}


def _true_class(attempt: Attempt) -> str:
    """Return the class of an image; all models that attacked it were right about it."""
    return attempt.label("clean").partition("\n")[0]


def never(attempt: Attempt) -> str:
    """Return what stands below an image that no eps fooled."""
    return "" if attempt.fooled else "never"


def fgsm_gallery(findings: Findings) -> Figure | None:
    """Return images at the smallest eps that fools each network."""
    cells = find_cells(findings.results, "fgsm-radius", {"norm": "linf"})
    drawn = every_network(called_by_model(findings, cells), 4, ["linf"], never)
    return drawn and Figure(
        name="fgsm-gallery",
        caption=f"FGSM with eps raised until each network is fooled (n = {drawn[1]} images, those fooled first), or never, up to "
        f"{cells['max_eps'].iloc[0]}: what was added, which has that eps as its linf norm, and the image. {_BELOW} "
        "Figures 6.2 and 12.3 of the study.",
        pdf=drawn[0],
    )


def deepfool_gallery(norm: str, numbers: str) -> Callable[[Findings], Figure | None]:
    """Return the function that draws the gallery of DeepFool in a norm, under its numbers in the study."""

    def figure(findings: Findings) -> Figure | None:
        cells = deepfool_cells(findings, norm)
        drawn = every_network(called_by_model(findings, cells), 4, [norm])
        return drawn and Figure(
            name=f"deepfool-{norm}-gallery",
            caption=f"DeepFool in {norm} on each network (n = {drawn[1]} images, those fooled first), clipped once at the end as in the "
            f"study: what was added, with its {norm} norm, and the image tried. {_BELOW} {numbers} of the study.",
            pdf=drawn[0],
        )

    return figure


def deepfool_cells(findings: Findings, norm: str) -> pd.DataFrame:
    """Return the cells of DeepFool as the study made it, with one clip at the end."""
    return find_cells(findings.results, "deepfool", {"norm": norm, "clip": "end"})


def sparsefool_gallery(findings: Findings) -> Figure | None:
    """Return images under SparseFool on each network."""
    cells = find_cells(findings.results, "sparsefool", {"lambda": 3, "box": 1})
    drawn = every_network(called_by_model(findings, cells), 3, ["l0", "l2"])
    return drawn and Figure(
        name="sparsefool-gallery",
        caption=f"SparseFool at lambda 3 on each network (n = {drawn[1]} images, those fooled first): what was added, with the number of pixels "
        f"that changed and the l2 norm, and the image tried. {_BELOW} Figures 7.8, 12.14 and 12.15 of the study.",
        pdf=drawn[0],
    )


# ---- several images on one network, in threes ----


def in_threes(
    rows: Sequence[tuple[str, Sequence[Attempt]]], norms: Sequence[str], more: Words | None = None
) -> bytes:
    """Return rows of several images, each as original, what was added and the image tried.

    Args:
        rows: each with its title, which may be empty.
        norms: that stand below what was added.
        more: further words below the image tried.
    """
    most = max(len(row) for _, row in rows)
    titled = any(title for title, _ in rows)
    made = [
        Row([tile for one in row for tile in _three(one, norms, more)], title)
        for title, row in rows
    ]
    return sheet(made, Layout((3,) * most, titled=titled))


def _three(attempt: Attempt, norms: Sequence[str], more: Words | None) -> tuple[Tile, Tile, Tile]:
    tried = attempt.tried(more(attempt) if more else "")
    return attempt.original(), attempt.added(*norms), tried


def untitled(attempts: Sequence[Attempt]) -> list[tuple[str, Sequence[Attempt]]]:
    """Return rows of three images without titles."""
    return [("", attempts[at : at + _ABREAST]) for at in range(0, len(attempts), _ABREAST)]


_ABREAST = 3
THREES = (
    "Original, perturbation (around grey, times the factor below) and image tried; words are slanted where "
    "the attack failed."
)


def visibility_figure(findings: Findings) -> Figure | None:
    """Return the images with the largest and with the smallest perturbation of DeepFool."""
    attempts, model = _of_one(findings, deepfool_cells(findings, "l2"), DENSENET)
    fooled = sorted(
        (one for one in attempts.values() if one.fooled), key=lambda one: one.size("l2")
    )
    if len(fooled) < 2:
        return None
    count = min(_ABREAST, len(fooled) // 2)
    rows = [("largest", fooled[: -count - 1 : -1]), ("smallest", fooled[:count])]
    return Figure(
        name="deepfool-visibility",
        caption=f"The largest and the smallest perturbations of DeepFool in l2 on {model}, of the n = {len(fooled)} images "
        f"fooled and kept. {THREES} Figure 12.6 of the study.",
        pdf=in_threes(rows, ["l2"]),
    )


def norms_figure(findings: Findings) -> Figure | None:
    """Return the same images under DeepFool in linf and in l2."""
    columns: dict[str, Mapping[int, Attempt]] = {}
    model = ""
    for norm in ("linf", "l2"):
        columns[norm], model = _of_one(findings, deepfool_cells(findings, norm), RESNET)
    indices = varied(list(columns.values()), _ABREAST)
    if not indices:
        return None
    rows = [(NORM[norm], [of[index] for index in indices]) for norm, of in columns.items()]
    return Figure(
        name="deepfool-norms",
        caption=f"DeepFool on {model}, in linf above l2 (n = {len(indices)} images, those fooled first). {THREES} Figure 12.7 of the study.",
        pdf=in_threes(rows, ["linf", "l2"]),
    )


def sparsity_figure(findings: Findings) -> Figure | None:
    """Return images of which SparseFool changes few pixels, and many."""
    cells = find_cells(findings.results, "sparsefool", {"lambda": 3, "box": 1})
    attempts, model = _of_one(findings, cells, RESNET)
    fooled = sorted(
        (one for one in attempts.values() if one.fooled), key=lambda one: one.size("l0")
    )
    if not fooled:
        return None
    spread = spaced(fooled, 2 * _ABREAST)
    rows = untitled(spread)
    return Figure(
        name="sparsefool-sparsity",
        caption=f"SparseFool at lambda 3 on {model}: n = {len(spread)} images from the fewest to the most pixels changed, of "
        f"the {len(fooled)} fooled and kept. {THREES} Figure 12.11 of the study.",
        pdf=in_threes(rows, ["l0"]),
    )


def spaced(ordered: Sequence[Attempt], count: int) -> list[Attempt]:
    """Return `count` of some attempts in equal steps, the first and the last among them."""
    if len(ordered) <= count:
        return list(ordered)
    return [ordered[round(turn * (len(ordered) - 1) / (count - 1))] for turn in range(count)]


def boxes_figure(findings: Findings) -> Figure | None:
    """Return the same images under SparseFool that may move values by less and less."""
    results = findings.results
    cells = find_cells(results, "sparsefool", {"lambda": 3})
    several = cells.groupby("model")["box"].transform("nunique") > 1
    model = network(results, cells[several], INCEPTION)
    cells = cells[cells["model"] == model]
    named = {"255": 1, "30": "30/255", "10": "10/255"}
    found = {}
    for delta, box in named.items():
        for cell in cells[[same_value(one, box) for one in cells["box"]]].to_dict("records"):
            if attempts := attempts_of(results, cell):
                found[delta] = attempts
    indices = varied(list(found.values()), _ABREAST)
    if len(found) < 2 or not indices:
        return None
    rows = [
        (f"$\\delta$ = {delta}", [of[index] for index in indices]) for delta, of in found.items()
    ]
    return Figure(
        name="sparsefool-boxes",
        caption=f"SparseFool at lambda 3 on {findings.called(str(model))} whose values may move by at most delta (n = "
        f"{len(indices)} images, those fooled first). {THREES} Figure 12.13 of the study.",
        pdf=in_threes(rows, ["l0"]),
    )


def lbfgs_figure(findings: Findings) -> Figure | None:
    """Return images under L-BFGS."""
    attempts, model = _of_one(findings, find_cells(findings.results, "l-bfgs", {}), RESNET)
    indices = varied([attempts], 2 * _ABREAST) if attempts else []
    if not indices:
        return None
    shown = [attempts[index] for index in indices]
    rows = untitled(shown)
    return Figure(
        name="lbfgs-gallery",
        caption=f"L-BFGS towards the next class on {model} (n = {len(shown)} images, those fooled first). {THREES} Figure 6.1 of the study.",
        pdf=in_threes(rows, ["l2"]),
    )


def _of_one(
    findings: Findings, cells: pd.DataFrame, wanted: str
) -> tuple[Mapping[int, Attempt], str]:
    """Return what was done on one network, that of the study where it was run, and what it is called."""
    model = network(findings.results, cells, wanted)
    for cell in cells[cells["model"] == model].to_dict("records"):
        return attempts_of(findings.results, cell), findings.called(str(model))
    return {}, ""
