"""One-pixel: images, and the probability that its search lowers or raises, generation by generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from bench.errors import SpecError
from bench.report import formatting
from bench.report.blocks import Figure
from bench.report.drawing import TEXT_WIDTH, look, percent_axis, style, to_pdf
from bench.report.findings import Findings
from bench.report.legends import BESIDE
from bench.spec import number
from bench.studies.fooling.attempts import Attempt, attempts_of, by_model
from bench.studies.fooling.galleries import THREES, in_threes
from bench.studies.fooling.selection import MOBILENET, RESNET, find_cells, network
from bench.studies.fooling.tiles import Layout, Row, Tile, draw_rows, paper_of

_ABREAST = 3
_UNTARGETED: Mapping[str, Any] = {"norm": "l0", "targeted": "none"}


def one_pixel_gallery(findings: Findings) -> Figure | None:
    """Return images of which one pixel was changed, a row a network."""
    results = findings.results
    cells = find_cells(results, "one-pixel", {**_UNTARGETED, "eps": 1})
    cells = cells[cells["stop"] != "class"] if (cells["stop"] != "class").any() else cells
    cells = cells[cells["population"] == cells["population"].mode().max()]
    found = by_model(results, cells)
    if not found:
        return None
    rows = []
    for model, attempts in found.items():
        first = sorted(attempts.values(), key=lambda one: not one.fooled)[:_ABREAST]
        rows.append((findings.called(model), first))
    kept = sum(len(attempts) for attempts in found.values())
    fooled = sum(one.fooled for attempts in found.values() for one in attempts.values())
    return Figure(
        name="one-pixel-gallery",
        caption=f"One changed pixel, framed, on each network: of n = {kept} images attacked whose pictures were kept {fooled} are "
        f"fooled, and of each network stand those first. {THREES} Figure 8.1 of the study.",
        pdf=in_threes(rows, ["l2"]),
    )


# ---- pictures beside the probability against generation: figures 12.16 to 12.18 ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search for the pixels of an image.

    Attributes:
        named: what tells it from the others beside it.
        attempt: what came of it.
        trace: `step` (generation, 0 before the first) and `value`, the probability.
    """

    named: str
    attempt: Attempt
    trace: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Searches side by side.

    Attributes:
        number: of the figure in the study.
        says: what they are.
        probability: whose is drawn.
        stop: the probability that ends them; None where the class does.
    """

    number: str
    says: str
    probability: str
    stop: float | None
    searches: Sequence[Search]


def search_figure(findings: Findings) -> Figure | None:
    """Return pictures beside probabilities: of several images, several wanted classes, several pixels."""
    made = (several_images(findings), several_classes(findings), several_pixels(findings))
    panels = [panel for panel in made if panel is not None]
    if not panels:
        return None
    letters = [f"({letter}) {panel.says}" for letter, panel in zip("abc", panels, strict=False)]
    numbers = [panel.number for panel in panels]
    return Figure(
        name="one-pixel-searches",
        caption=f"One-pixel, the images it ends with beside the best probability after each generation: "
        f"{'; '.join(letters)}. Dashed: the probability that ends the search. Below the images the class and what it "
        f"became, slanted where the attack failed. {_numbered(numbers)} of the study.",
        pdf=_draw(panels),
    )


def _numbered(numbers: Sequence[str]) -> str:
    if len(numbers) == 1:
        return f"Figure {numbers[0]}"
    return f"Figures {', '.join(numbers[:-1])} and {numbers[-1]}"


def several_images(findings: Findings) -> Panel | None:
    """Return the first images with one pixel, from the search with the largest population."""
    cells = find_cells(findings.results, "one-pixel", {**_UNTARGETED, "eps": 1})
    cells = _largest_population(cells[cells["model"] == network(findings.results, cells, RESNET)])
    for cell in cells.to_dict("records"):
        found = _searches(findings, {"": cell})
        if len(found) < 1:
            continue
        shown = [
            replace(of[""], named=f"image {index}") for index, of in list(found.items())[:_ABREAST]
        ]
        says = f"one pixel of n = {len(shown)} images, {_settings(findings, cell)}"
        return Panel(
            number="12.16", says=says, probability="of the class", stop=_stop(cell), searches=shown
        )
    return None


def several_classes(findings: Findings) -> Panel | None:
    """Return one image with one pixel towards several classes, of which most are reached."""
    cells = find_cells(findings.results, "one-pixel", {"norm": "l0", "eps": 1})
    cells = cells[[target.isdecimal() for target in cells["targeted"]]] if len(cells) else cells
    cells = cells[cells["model"] == network(findings.results, cells, MOBILENET)]
    by_class = {str(cell["targeted"]): cell for cell in cells.to_dict("records")}
    found = {index: of for index, of in _searches(findings, by_class).items() if len(of) > 1}
    if not found:
        return None
    index = max(
        found, key=lambda at: (len(found[at]), _reached(found[at]), _highest(found[at]), -at)
    )
    shown = list(found[index].values())[:_ABREAST]
    classes = shown[0].attempt.classes
    named = [
        replace(one, named=f"to {classes[int(one.named)] if classes else one.named}")
        for one in shown
    ]
    cell = next(iter(by_class.values()))
    says = f"one pixel of image {index} towards several classes, {_settings(findings, cell)}"
    return Panel(
        number="12.17",
        says=says,
        probability="of the wanted class",
        stop=_stop(cell),
        searches=named,
    )


def several_pixels(findings: Findings) -> Panel | None:
    """Return one image with several numbers of pixels, of which most fool the network."""
    cells = find_cells(findings.results, "one-pixel", _UNTARGETED)
    cells = cells[cells["model"] == network(findings.results, cells, RESNET)]
    several = cells.groupby("population")["eps"].transform("nunique") > 1
    cells = _largest_population(cells[several]).sort_values("radius").drop_duplicates("eps")
    by_count = {
        formatting.plural(int(cell["radius"]), "pixel"): cell for cell in cells.to_dict("records")
    }
    found = {index: of for index, of in _searches(findings, by_count).items() if len(of) > 1}
    if not found:
        return None
    index = max(found, key=lambda at: (len(found[at]), _reached(found[at]), -at))
    cell = next(iter(by_count.values()))
    says = f"several pixels of image {index}, {_settings(findings, cell)}"
    shown = list(found[index].values())[:_ABREAST]
    return Panel(
        number="12.18", says=says, probability="of the class", stop=_stop(cell), searches=shown
    )


def _largest_population(cells: pd.DataFrame) -> pd.DataFrame:
    largest: pd.DataFrame = cells[cells["population"] == cells["population"].max()]
    return largest


def _searches(
    findings: Findings, cells: Mapping[str, Mapping[Any, Any]]
) -> dict[int, dict[str, Search]]:
    """Return the searches of each image that have a picture and a trace, by image and name of the cell."""
    found: dict[int, dict[str, Search]] = {}
    for named, cell in cells.items():
        trace = findings.results.trace(str(cell["cell"]))
        if trace is None:
            continue
        for index, attempt in attempts_of(findings.results, cell).items():
            steps = trace.loc[trace["index"] == index, ["step", "value"]].sort_values("step")
            if len(steps):
                search = Search(named=named, attempt=attempt, trace=steps)
                found.setdefault(index, {})[named] = search
    return dict(sorted(found.items()))


def _reached(searches: Mapping[str, Search]) -> int:
    return sum(search.attempt.fooled for search in searches.values())


def _highest(searches: Mapping[str, Search]) -> float:
    return max(float(search.trace["value"].iloc[-1]) for search in searches.values())


def _settings(findings: Findings, cell: Mapping[Any, Any]) -> str:
    return (
        f"{findings.called(str(cell['model']))}, population {cell['population']}, at most "
        f"{cell['generations']} generations"
    )


def _stop(cell: Mapping[Any, Any]) -> float | None:
    try:
        return number(cell["stop"])
    except SpecError:  # `class`
        return None


_HEIGHT, _SHARE = 1.42, 0.52


def _draw(panels: Sequence[Panel]) -> bytes:
    """Draw a row of pictures a panel, and right of it its curves."""
    layout = Layout((_ABREAST,), width=_SHARE * TEXT_WIDTH, titled=True)
    with style():
        paper = paper_of(TEXT_WIDTH, _HEIGHT * len(panels))
        drawing = paper.get_figure()
        assert isinstance(drawing, Drawing)
        for turn, panel in enumerate(panels):
            tiles = [_tile(search) for search in panel.searches]
            draw_rows(paper, [Row(tiles, f"({'abc'[turn]})")], layout, turn * _HEIGHT + 0.05)
            left, foot = _SHARE + 0.1, (len(panels) - turn - 1) / len(panels)
            room = (left, foot + 0.33 / _HEIGHT / len(panels), 0.87 - left, 0.7 / len(panels))
            _curves(drawing.add_axes(room), panel)
        return to_pdf(drawing)


def _tile(search: Search) -> Tile:
    tried = search.attempt.tried()
    clean = search.attempt.label("clean").partition("\n")[0]
    became = tried.below.replace("\n", " ")
    return replace(tried, below=f"{search.named}\n{clean} $\\rightarrow$ {became}", whole=True)


def _curves(axes: Axes, panel: Panel) -> None:
    for turn, search in enumerate(panel.searches):
        own = look(turn)
        axes.plot(
            search.trace["step"], 100 * search.trace["value"], color=own.colour,
            linestyle=own.dashes, label=search.named, zorder=3,
            # The first candidates may end a search, whose line is then a point.
            marker="o", markersize=3, markevery=[len(search.trace) - 1], clip_on=False,
        )  # fmt: skip
    percent_axis(axes, f"probability\n{panel.probability} (%)", step=25)
    if panel.stop is not None:
        axes.axhline(100 * panel.stop, color="0.35", linewidth=0.6, linestyle=(0, (5, 4)), zorder=1)
    axes.set_xlim(0, None)
    axes.set_xlabel("generation", labelpad=1)
    axes.legend(frameon=False, handlelength=2.4, **BESIDE)
