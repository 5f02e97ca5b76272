"""Galleries of photographs of a thousand classes: figures 12.4, 12.19 and 12.26 of the study."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report.blocks import Figure
from bench.report.drawing import NORM
from bench.report.findings import Findings
from bench.studies.fooling.attempts import Attempt, attempts_of, in_norm, varied
from bench.studies.fooling.galleries import THREES, every_network, in_threes, never, untitled
from bench.studies.fooling.selection import find_cells
from bench.studies.fooling.tiles import Layout, Row, sheet

_NETWORKS, _IMAGES, _ACROSS, _ABREAST = 4, 3, 4, 2


def photographs_under_fgsm(findings: Findings) -> Figure | None:
    """Return photographs at the smallest eps of the run at which FGSM fools each network."""
    found = {findings.called(model): of for model, of in smallest_eps(findings).items()}
    if not found:
        return None
    if len(found) > 1:
        drawn = every_network(found, _IMAGES, ["linf"], never)
        if drawn is None:
            return None
        pdf, count = drawn
    else:
        (attempts,) = found.values()
        shown = [attempts[index] for index in varied([attempts], _IMAGES)]
        pdf, count = in_threes(untitled(shown), ["linf"], never), len(shown)
    return Figure(
        name="photographs-fgsm",
        caption=f"Photographs under FGSM on {', '.join(found)} (n = {count} images, those fooled first), at the smallest eps of the run that "
        f"fools, or at the largest where none does (never). {THREES} Figure 12.4 of the study.",
        pdf=pdf,
    )


def smallest_eps(findings: Findings) -> dict[str, dict[int, Attempt]]:
    """Return of each network and image the attempt at the smallest eps that fooled, else at the largest."""
    wanted = {"norm": "linf", "targeted": "none"}
    cells = find_cells(findings.results, "fgsm", wanted, photographs=True)
    losses = set(cells["loss"])
    cells = cells[cells["loss"] == ("logit" if "logit" in losses else "ce")]
    found: dict[str, dict[int, Attempt]] = {}
    for model in list(dict.fromkeys(cells["model"]))[:_NETWORKS]:
        of_model: dict[int, Attempt] = {}
        for cell in cells[cells["model"] == model].sort_values("radius").to_dict("records"):
            for index, attempt in attempts_of(findings.results, cell).items():
                if index not in of_model or not of_model[index].fooled:
                    of_model[index] = attempt
        if of_model:
            found[str(model)] = of_model
    return found


def photographs_under_one_pixel(findings: Findings) -> Figure | None:
    """Return photographs of which a few pixels were changed by the search with the largest population."""
    cells = find_cells(findings.results, "one-pixel", {"targeted": "none"}, photographs=True)
    cells = cells.sort_values(["population", "radius"], ascending=False)
    for cell in cells.to_dict("records"):
        attempts = attempts_of(findings.results, cell)
        if attempts:
            first = sorted(attempts.values(), key=lambda one: not one.fooled)[:_ABREAST]
            return Figure(
                name="photographs-one-pixel",
                caption=f"Photographs with {cell['eps']} changed pixels, framed, on {findings.called(str(cell['model']))}, "
                f"population {cell['population']} (n = {len(first)} images, those fooled first). {THREES} Figure 12.19 of the study.",
                pdf=in_threes([("", first)], ["l2"]),
            )
    return None


def photographs_under_every_attack(findings: Findings) -> Figure | None:
    """Return photographs as they are, and below under FGSM, DeepFool in l2 and linf, and SparseFool."""
    model, found = _attacks_on_one(findings)
    indices = varied(list(found.values()), _ACROSS)
    if len(found) < 2 or not indices:
        return None
    first = next(iter(found.values()))
    rows = [Row([first[index].original() for index in indices], "original")]
    for (name, norm), attempts in found.items():
        tried = [
            attempts[index].tried(in_norm(norm, attempts[index].size(norm))) for index in indices
        ]
        rows.append(Row(tried, name if norm == "l0" else f"{name}, {NORM[norm]}"))
    names = ", ".join(f"{name} in {norm}" for name, norm in found)
    return Figure(
        name="photographs-attacks",
        caption=f"Photographs (n = {len(indices)}, those fooled first), and below as {names} change them, on {findings.called(model)}: FGSM at the "
        "smallest eps of the run that fools, or the largest. Below each the decision and the size of what was "
        "added, slanted where the attack failed. Figure 12.26 of the study.",
        pdf=sheet(rows, Layout((1,) * len(indices), titled=True, largest=0.8)),
    )


def _attacks_on_one(
    findings: Findings,
) -> tuple[str, dict[tuple[str, str], Mapping[int, Attempt]]]:
    """Return the network with most of these attacks, and what each did, by its name and norm."""
    results = findings.results
    by_model: dict[str, dict[tuple[str, str], Mapping[int, Attempt]]] = {}
    for model, attempts in smallest_eps(findings).items():
        by_model.setdefault(model, {})["FGSM", "linf"] = attempts
    for name, attack, norm in (
        ("DeepFool", "deepfool", "l2"), ("DeepFool", "deepfool", "linf"), ("SparseFool", "sparsefool", "l0"),
    ):  # fmt: skip
        cells = find_cells(results, attack, {"norm": norm}, photographs=True)
        for cell in cells.drop_duplicates("model").to_dict("records"):
            if attempts := attempts_of(results, cell):
                by_model.setdefault(str(cell["model"]), {})[name, norm] = attempts
    model = max(by_model, key=lambda one: len(by_model[one]), default="")
    return model, by_model.get(model, {})
