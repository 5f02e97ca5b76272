"""The report of an ordinary suite, as the plain values and files that `report.typ` places."""

from __future__ import annotations

from typing import Any

from bench.measure.radius import measured_radii
from bench.report.blocks import agreement, front_block, parity_block, table_block
from bench.report.figures import accuracy_figures, caption
from bench.report.pictures import Grid, picture_grid
from bench.report.sections.certified import certified_figures
from bench.report.sections.claims import compact
from bench.report.sections.gallery import Sheet, gallery
from bench.report.sections.radius import radius_figures
from bench.report.tables import Measured, all_tables, failure_table, names, parameter_table
from bench.store.results import Results


def run_document(results: Results, measured: Measured) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the template needs, and the files it places, by name."""
    tables = {table.name: table for table in all_tables(results, measured)}
    drawn = accuracy_figures(measured.curve, measured.headline)
    grid, sheets = picture_grid(results), gallery(results)
    moved, claimed, aimed, radii, made, certified, between = (
        tables.get(name)
        for name in ("transfer", "claims", "goals", "radius", "grid", "certificates", "sandwich")
    )
    proven = certified_figures(measured.certified, measured.sandwich)
    curves = radius_figures(measured.radii, measured_radii(results), names(results))
    attachments = {f"accuracy-{figure.norm}.pdf": figure.pdf for figure in drawn}
    attachments |= {f"radius-{turn}.pdf": one.pdf for turn, one in enumerate(curves)}
    attachments |= {f"certified-{turn}.pdf": one.pdf for turn, one in enumerate(proven)}
    document = {
        **front_block(results),
        "headline": table_block(tables["headline"].frame, tables["headline"].caption),
        "goals": table_block(aimed.frame, aimed.caption) if aimed else None,
        "radii": table_block(radii.frame, radii.caption) if radii else None,
        "curves": [
            {"file": f"radius-{turn}.pdf", "wide": one.wide, "caption": one.caption}
            for turn, one in enumerate(curves)
        ],
        "certificates": table_block(certified.frame, certified.caption) if certified else None,
        "sandwich": table_block(between.frame, between.caption) if between else None,
        "proven": [
            {"file": f"certified-{turn}.pdf", "wide": one.wide, "caption": one.caption}
            for turn, one in enumerate(proven)
        ],
        "configurations": table_block(made.frame, made.caption) if made else None,
        "claims": table_block(claimed.frame, claimed.caption) if claimed else None,
        "comparisons": compact(results, measured.comparisons),
        "failures": table_block(failure_table(results), "Cells that failed or were never run."),
        "figures": [
            {
                "file": f"accuracy-{figure.norm}.pdf",
                "wide": figure.wide,
                "norm": figure.norm,
                "caption": caption(figure),
            }
            for figure in drawn
        ],
        "grid": _grid(grid, attachments) if grid else None,
        "gallery": [_sheet(turn, sheet, attachments) for turn, sheet in enumerate(sheets)],
        "unseen": len(results.models) - len(sheets),
        "agreement": agreement(tables["parity"].frame),
        "parity": parity_block(tables["parity"], f"{results.suite}-parity.csv"),
        "compared": len(tables["parity"].frame),
        "attacks": table_block(tables["attacks"].frame, tables["attacks"].caption),
        "cost": table_block(tables["cost"].frame, tables["cost"].caption),
        "transfer": table_block(moved.frame, moved.caption) if moved else None,
        "parameters": table_block(
            parameter_table(results), "Attacks as they ran, with every parameter written out."
        ),
    }
    return document, attachments


def _grid(grid: Grid, attachments: dict[str, bytes]) -> dict[str, Any]:
    """Return the grid of pictures for the template, and attach its images."""

    def place(name: str, png: bytes) -> str:
        attachments[name] = png
        return name

    return {
        "model": grid.model,
        "columns": [
            {
                "attack": column.attack,
                "threat": column.threat,
                "toolkit": column.toolkit,
                "factor": column.factor,
            }
            for column in grid.columns
        ],
        "rows": [
            {
                "original": place(f"image-{turn}.png", original.png),
                "label": original.below,
                "pairs": [
                    {
                        "change": place(f"change-{turn}-{at}.png", column.pairs[turn][0].png),
                        "distance": column.pairs[turn][0].below,
                        "adversarial": place(f"tried-{turn}-{at}.png", column.pairs[turn][1].png),
                        "label": column.pairs[turn][1].below,
                    }
                    for at, column in enumerate(grid.columns)
                ],
            }
            for turn, original in enumerate(grid.originals)
        ],
    }


def _sheet(turn: int, sheet: Sheet, attachments: dict[str, bytes]) -> dict[str, Any]:
    """Return a sheet of the gallery for the template, and attach its images."""
    attachments[f"sheet-{turn}.png"] = sheet.original.png
    panels = []
    for at, panel in enumerate(sheet.panels):
        tried, added = f"panel-{turn}-{at}.png", f"added-{turn}-{at}.png"
        attachments |= {tried: panel.tried.png, added: panel.added}
        panels.append({
            "attack": panel.attack, "toolkit": panel.toolkit, "norm": panel.norm,
            "size": panel.size, "factor": panel.factor, "fooled": panel.fooled,
            "label": panel.tried.below, "tried": tried, "added": added,
        })  # fmt: skip
    return {
        "model": sheet.model,
        "index": sheet.index,
        "original": f"sheet-{turn}.png",
        "label": sheet.original.below,
        "panels": panels,
        "without": list(sheet.without),
    }
