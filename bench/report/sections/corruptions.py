"""How often models are wrong about corrupted images, without any attack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from bench.data.corruptions import Chosen, is_corrupted
from bench.measure.corruption_errors import CorruptionErrors, corruption_errors
from bench.report import formatting
from bench.report.blocks import Column, Section, Table, Text
from bench.report.findings import Findings
from bench.report.labels import MODEL
from bench.report.rules import SectionRule

_MEAN = "mean"


def section(findings: Findings) -> Section | None:
    """Return the errors on corrupted images, of a run that has several versions of images."""
    if not _of_several(findings):
        return None
    if findings.results.protocol.get("order"):
        return _section(
            Text(text="The mean corruption error needs the images in the order of the file.")
        )
    found = dict(_found(findings))
    if not found:
        return _section(
            Text(text="The mean corruption error needs all versions of one image; attack more.")
        )
    return _section(_table(findings, found))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the error of each model on each corruption and severity."""
    if findings.results.protocol.get("order"):
        return {}
    parts = [
        errors.frame.assign(model=model, images=errors.images) for model, errors in _found(findings)
    ]
    columns = ["model", "corruption", "severity", "images", "error"]
    return {"corruption-errors": pd.concat(parts)[columns]} if parts else {}


def _section(block: Table | Text) -> Section:
    return Section(label="corruptions", title="Corrupted images", blocks=(block,))


def _of_several(findings: Findings) -> dict[str, list[tuple[str, int]]]:
    """Return the versions of each image, by model that is asked about several."""
    asked = {
        model: Chosen.read(data).versions
        for model, data in findings.data_of.items()
        if is_corrupted(data)
    }
    return {model: versions for model, versions in asked.items() if len(versions) > 1}


def _found(findings: Findings) -> Iterator[tuple[str, CorruptionErrors]]:
    clean = findings.measured.outcomes.clean
    for model, versions in _of_several(findings).items():
        errors = corruption_errors(clean[model], versions) if model in clean else None
        if errors is not None:
            yield model, errors


def _table(findings: Findings, found: Mapping[str, CorruptionErrors]) -> Table:
    """Return a row a model and corruption, with a column a severity, and a row of the mean of all."""
    severities = sorted({int(one) for errors in found.values() for one in errors.frame["severity"]})
    titles = [*(f"severity {severity}" for severity in severities), _MEAN]
    columns = (MODEL, Column("corruption", "subject"), *(Column(title, "rate") for title in titles))
    rows = [
        (findings.called(model), *cells)
        for model, errors in found.items()
        for cells in _rows(errors)
    ]
    images = ", ".join(map(str, dict.fromkeys(errors.images for errors in found.values())))
    return Table(
        name="corruptions",
        caption=f"Error (%) on corrupted images without any attack (Hendrycks and Dietterich, 2019), of {images} images in "
        f"each corruption and severity. The last mean is the mean corruption error, not divided by that of another model; "
        f"its 95 % interval is as if all versions of an image were right or wrong together, so that it is rather too wide. Intervals of accuracies, elsewhere, take each version for another image, and are too "
        f"narrow.",
        columns=columns,
        frame=pd.DataFrame(rows, columns=[column.title for column in columns]),
    )


def _rows(errors: CorruptionErrors) -> Iterator[tuple[str, ...]]:
    """Yield the texts of each corruption: its name, the error at each severity, and their mean; last those of all."""
    table = errors.frame.pivot_table(index="corruption", columns="severity", values="error")
    for name in dict.fromkeys(errors.frame["corruption"]):
        of_name = table.loc[name]
        shares = [*of_name, of_name.mean()]
        yield (str(name).replace("_", " "), *(formatting.percent(share) for share in shares))
    by_severity = [formatting.percent(share) for share in table.mean()]
    yield ("all", *by_severity, formatting.rate(errors.mean, *errors.interval))


SECTION = SectionRule(name="corruptions", place=55, make=section, frames=frames)
