"""The protocol: what was asked of which models on which images, and what made the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Fact, Facts, Section, Text
from bench.report.findings import Findings
from bench.report.rules import SectionRule
from bench.spec import ATTACKING
from bench.store.chosen import asked_in_words
from bench.store.results import Results

#: Of more models than these, the protocol says how many there are.
_MANY = 12

_RULES = (
    "Pixels lie in [0, 1]. Only images that the model gets right are attacked. Success is decided by the "
    "model's own prediction on the image that was tried, within the radius by a float64 norm; a toolkit's "
    "own report of success is never used. An image is evidence of robustness only under an attack that "
    "ran, gave a valid image and had a signal to follow there; where too few images are, the figure is "
    "INVALID."
)


def section(findings: Findings) -> Section:
    """Return the protocol of a run."""
    facts = Facts(facts=tuple(protocol(findings.results)))
    return Section(label="protocol", title="Protocol", blocks=(facts, Text(text=_RULES)))


def cell_counts(results: Results) -> dict[str, int]:
    """Return how many cells are `done`, `failed` and `missing`."""
    counts = results.cells["status"].value_counts()
    return {status: int(counts.get(status, 0)) for status in ("done", "failed", "missing")}


def protocol(results: Results) -> list[Fact]:
    """Return the protocol of a run, a line a fact."""
    asked: Mapping[str, Any] = results.protocol
    cells = results.cells
    attacks = cells[cells["kind"].isin(ATTACKING)]
    counts = cell_counts(results)
    state = [f"{counts['done']} of {len(cells)} done"]
    state += [f"{counts[status]} {status}" for status in ("failed", "missing") if counts[status]]
    images = asked["images"]
    smoke = f" (smoke: n < {formatting.SMOKE})" if images < formatting.SMOKE else ""
    each = " of each" if len(asked["data"]) > 1 else ""
    counted = f"{formatting.plural(images, 'image')}{each}{smoke}{_more_images(cells, images)}"
    run = f"{results.run}: {asked_in_words(results.asked)}" if results.run else ""
    facts = [
        Fact(
            "Data",
            f"{formatting.data(asked)}, split {asked['split']}, {formatting.ordered(asked, counted)}",
        ),
        Fact("Models", _models(results)),
        Fact("Trunks", _trunks(results)),
        Fact("Attacks", ", ".join(_attacks(attacks))),
        Fact("Threats", ", ".join(_threats(attacks)), "threats"),
        Fact("Cells", ", ".join(state)),
        Fact("Seed, batch size", f"{asked['seed']}, {_either(asked['batch_size'])}"),
        Fact("Run", run),
        Fact("Versions", ", ".join(_versions(results.made))),
        Fact("Machine", _machines(results.made)),
        Fact("Left out", "; ".join(results.left_out)),
    ]
    return [fact for fact in facts if fact.text]


def _attacks(cells: pd.DataFrame) -> list[str]:
    """Return the names of the attacks, those that nobody asked for marked so."""
    names = cells["attack"] + cells["auto"].map({True: " (auto)", False: ""})
    return list(dict.fromkeys(names))


def _either(sizes: int | list[int]) -> str:
    return " or ".join(map(str, sizes)) if isinstance(sizes, list) else str(sizes)


def _versions(made: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the versions that made the cells: `torch 2.9.0 (120 cells), 2.8.1 (11 cells)`."""
    counts: dict[str, Counter[str]] = {}
    for maker in made:
        for name, version in (maker["versions"] or {}).items():
            counts.setdefault(name, Counter())[version] += maker["cells"]
    return [f"{name} {_counted(cells)}" for name, cells in counts.items()]


def _machines(made: Sequence[Mapping[str, Any]]) -> str:
    """Return the machines that made the cells, with the threads that torch had there."""
    counts: Counter[str] = Counter()
    for maker in made:
        threads = maker["threads"]
        used = "threads not recorded" if threads is None else formatting.plural(threads, "thread")
        counts[f"{maker['host']} {maker['device']}, {used}"] += maker["cells"]
    return _counted(counts, "; ")


def _counted(counts: Counter[str], between: str = ", ") -> str:
    """Return the names counted, with how many cells each has where there are several."""
    if len(counts) == 1:
        return next(iter(counts))
    names = (f"{name} ({formatting.plural(cells, 'cell')})" for name, cells in counts.most_common())
    return between.join(names)


def _more_images(cells: pd.DataFrame, images: int) -> str:
    """Return which attacks were made on more images than the suite says, and on how many."""
    more = cells[cells["images"].fillna(0) > images]
    return "".join(
        f"; {count} under {', '.join(group['attack'].unique())}"
        for count, group in more.groupby("images")
    )


def _models(results: Results) -> str:
    names = [model["model"] for model in results.models]
    if len(names) <= _MANY:
        return ", ".join(names)
    families = pd.Series([model["family"] for model in results.models]).value_counts(sort=False)
    if len(families) == 1:
        return f"{len(names)}, all {families.index[0]}"
    return f"{len(names)}: {', '.join(f'{count} {family}' for family, count in families.items())}"


def _trunks(results: Results) -> str:
    """Return each frozen trunk under a model's classifier, with what it was trained on."""
    trunks = [model["trunk"] for model in results.models if model.get("trunk")]
    said = (f"{trunk['name']} (trained on {trunk['trained_on']})" for trunk in trunks)
    return ", ".join(dict.fromkeys(said))


def _threats(cells: pd.DataFrame) -> list[str]:
    threats = (
        formatting.threat(norm, eps) for norm, eps in zip(cells["norm"], cells["eps"], strict=True)
    )
    return list(dict.fromkeys(threats))


SECTION = SectionRule(name="protocol", place=20, make=section)
