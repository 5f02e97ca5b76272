"""Tables 1, 4 and 7: what the networks and trunks of the study are made of, counted in ours."""

from __future__ import annotations

import pandas as pd

from bench.models.flower_cnns import PLANS
from bench.report import formatting
from bench.report.blocks import Column, Say, Table, tabulate
from bench.studies.flowers17.architectures import activation
from bench.studies.flowers17.names import TRUNKS, called, trunk_name, trunk_with_data

_LAYERS = ("convolutions", "pools", "hidden_layers")


def network_table(number: str, rows: pd.DataFrame) -> Table:
    """Return a row a network: its layers and parameters as published and in ours, and the slim one's.

    Args:
        number: of the published table.
        rows: of that table in `bench.studies.flowers17.beside.beside`.
    """
    lines = []
    for model, found in rows.groupby("model", sort=False):
        counts = {
            (str(row["metric"]), str(row["further"])): row for row in found.to_dict("records")
        }
        parameters = counts["parameters", ""]
        lines.append({
            "network": called(str(model)),
            **{layer: _agreed(counts[layer, ""]) for layer in _LAYERS},
            "padding": "yes" if PLANS[str(model)].padded else "no",
            "activation": activation(str(model)),
            "published": f"{parameters['published']:,.0f}", "ours": f"{parameters['ours']:,.0f}",
            "slim": f"{counts['parameters', 'slim']['ours']:,.0f}",
        })  # fmt: skip
    columns: dict[Column, Say] = {
        Column("network", "subject"): "network", Column("convolutions", "number"): "convolutions",
        Column("pools", "number"): "pools", Column("hidden layers", "number"): "hidden_layers",
        Column("padding"): "padding", Column("activation"): "activation",
        Column("parameters, published", "rate"): "published", Column("ours", "rate"): "ours",
        Column("slim", "rate"): "slim",
    }  # fmt: skip
    return tabulate(
        pd.DataFrame(lines), columns,
        f"Published table {number}. The networks: layers and parameters, counted in ours. The widths are the only "
        "ones in powers of two that give the published counts; where the pools stand does not follow from them. "
        "Slim networks have a quarter of the channels and a sixteenth of the hidden units, on images shrunk to 64 "
        "pixels (Mk-5: 96).",
        name=f"table-{number}", group="",
    )  # fmt: skip


def _agreed(row: dict[object, object]) -> str:
    """Return a count of layers, with the published one where that differs."""
    ours, published = f"{row['ours']:.0f}", f"{row['published']:.0f}"
    return ours if ours == published else f"{ours} (published {published})"


def trunk_table(number: str, rows: pd.DataFrame) -> Table:
    """Return a row a trunk: its size as published and in ours, then those of trunks of ours alone.

    Args:
        number: of the published table.
        rows: of that table in `bench.studies.flowers17.beside.beside`, with causes.
    """
    letters = formatting.lettered(rows["cause"])
    lines: dict[str, dict[str, str]] = {}
    for row in rows.to_dict("records"):
        own = str(row["our_model"]).partition("/")[2] or str(row["our_model"])
        trunk = trunk_with_data(own) if row["further"] else trunk_name(own)
        line = lines.setdefault(trunk, {})
        metric = str(row["metric"])
        line[f"{metric} published"] = str(row["printed"]) or formatting.NONE
        cause = f" ({letters[str(row['cause'])]})" if row["cause"] else ""
        missing = formatting.missing(row["ours"])
        line[metric] = formatting.NONE if missing else f"{row['ours']:,.0f}{cause}"
    frame = pd.DataFrame([_trunk_row(trunk, line) for trunk, line in lines.items()])
    frame = frame.assign(further=~frame["trunk"].isin([title for _, title in TRUNKS.values()]))
    frame = frame.sort_values("further", kind="stable").drop(columns="further")
    columns: dict[Column, Say] = {
        Column("trunk", "subject"): "trunk", Column("layers, published", "number"): "depth",
        Column("parameters, published", "rate"): "published", Column("ours", "rate"): "ours",
        Column("last feature map"): "map", Column("features, published", "rate"): "features_published",
        Column("ours, features", "rate"): "features",
    }  # fmt: skip
    return tabulate(
        frame, columns,
        f"Published table {number}. The trunks without their heads, counted in ours on an image of 128 pixels. The "
        "number of layers is Keras' own count, which ours has no counterpart of.",
        name=f"table-{number}", group="", notes=formatting.in_letters(letters),
    )  # fmt: skip


def _trunk_row(trunk: str, line: dict[str, str]) -> dict[str, str]:
    side, channels = line["map_side"], line["map_channels"].replace(",", "")
    printed = "x".join(
        line[f"{part} published"] for part in ("map_side", "map_side", "map_channels")
    )
    ours = f"{side}x{side}x{channels}"
    shown = ours if formatting.NONE in printed else printed
    differs = formatting.NONE not in (side, *printed) and ours != printed
    return {
        "trunk": trunk, "depth": line.get("depth published", formatting.NONE),
        "published": _thousands(line["parameters published"]), "ours": line["parameters"],
        "map": f"{shown} (ours {ours})" if differs else shown,
        "features_published": _thousands(line["features published"]), "features": line["features"],
    }  # fmt: skip


def _thousands(text: str) -> str:
    return text if text == formatting.NONE else f"{int(text):,}"
