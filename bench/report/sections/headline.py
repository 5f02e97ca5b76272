"""The headline: clean accuracy, and the worst case per image under each threat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import (
    Block,
    Column,
    Say,
    Score,
    Section,
    Table,
    Text,
    ThreatMatrix,
    tabulate,
)
from bench.report.findings import Findings
from bench.report.labels import (
    COUNT,
    MODEL,
    NOTE,
    THREAT,
    TRUST,
    clean_accuracy,
    data_name,
    mark_notes,
    robust_accuracy,
    threat_of,
)
from bench.report.rules import SectionRule
from bench.store.results import Results


def section(findings: Findings) -> Section:
    """Return the headline; in brief a row a model, else a row a model and threat."""
    found = findings.measured.headline
    blocks: tuple[Block, ...]
    if found.empty:
        none = "No attack of this run was given a radius; distances are in the table of attacks."
        blocks = (Text(text=none),)
    elif findings.study.brief:
        where = (
            f"The headline of every model of the run is in {findings.results.suite}-headline.csv."
        )
        tables = brief_headlines(findings)
        blocks = (Text(text=where), *tables, *matrices(findings))
    else:
        blocks = (headline_table(findings.results, found), *matrices(findings))
    return Section(label="headline", title="Robust accuracy", blocks=blocks)


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw headline."""
    return {"headline": findings.measured.headline}


def headline_table(results: Results, found: pd.DataFrame) -> Table:
    """Return a row a model and threat: clean and worst-case accuracy, and what to know of them.

    Args:
        results: of the run.
        found: of `bench.measure.headline.headline`.
    """
    protocol = results.protocol
    images = formatting.plural(protocol["images"], "image")
    counted = f"{images} of {formatting.data(protocol)} ({protocol['split']})"
    columns: dict[Column, Say] = {
        MODEL: "model",
        THREAT: threat_of,
        Column("clean accuracy (%)", "rate"): clean_accuracy,
        Column("robust accuracy (%)", "rate"): robust_accuracy,
        COUNT: lambda row: formatting.count(row.n),
        Column("attacks", "number"): lambda row: f"{row.attacks} of {row.planned}",
        Column("strongest"): lambda row: formatting.text(row.worst) or formatting.NONE,
        TRUST: "trust",
        NOTE: _note,
    }
    return tabulate(
        found,
        columns,
        f"Clean and robust accuracy with 95 % Wilson intervals, on the {formatting.ordered(protocol, counted)}. An image "
        "counts as robust only if it withstood every valid attack of the threat (worst case per image).",
    )


def _note(row: Any) -> str:
    smoke = f"smoke: n < {formatting.SMOKE}" if row.n < formatting.SMOKE else ""
    return formatting.join(formatting.text(row.flag).removeprefix("INVALID: "), smoke)


#: Of more threats than this, each is a row of the brief headline, and a model a column.
_ACROSS = 8


def brief_headlines(findings: Findings) -> list[Table]:
    """Return the brief headline: of the norms that most models face, then of each other one by itself."""
    found = _shown(findings)
    faced = found.groupby(["model", "norm"], sort=False)["planned"].sum().gt(0)
    shares = faced.groupby("norm", sort=False).sum() / found["model"].nunique()
    parts = [found[found["norm"].isin(shares.index[shares >= 0.5])]]
    for norm in shares.index[(shares > 0) & (shares < 0.5)]:
        models = faced.index[faced].to_frame(index=False).query("norm == @norm")["model"]
        parts.append(found[(found["norm"] == norm) & found["model"].isin(models)])
    return [brief_headline(findings, part) for part in parts if len(part)]


def brief_headline(findings: Findings, found: pd.DataFrame) -> Table:
    """Return the models shown: clean accuracy, and the worst case at each radius.

    A row a model; of one data set and many radii a row a radius, with a column a model.

    Args:
        findings: of the run.
        found: rows of the headline.
    """
    threats = list(dict.fromkeys(zip(found["norm"], found["eps_text"], strict=True)))
    one_norm = len({norm for norm, _ in threats}) == 1
    titles = {
        (norm, eps): f"ε = {eps} (%)" if one_norm else f"{norm} {eps} (%)" for norm, eps in threats
    }
    rows = []
    for model, group in found.groupby("model", sort=False):
        at = {(row.norm, row.eps_text): row for row in group.itertuples()}
        figures = {
            titles[threat]: robust_accuracy(at[threat], marked=True) if threat in at else formatting.NONE
            for threat in threats
        }  # fmt: skip
        rows.append({
            "data": data_name(findings.data_of[str(model)]),
            "model": findings.called(str(model)),
            "clean (%)": clean_accuracy(next(iter(at.values()))),
            **figures,
        })  # fmt: skip
    rates = [Column(title, "rate") for title in ("clean (%)", *titles.values())]
    frame = pd.DataFrame(rows, columns=["data", "model", *(rate.title for rate in rates)])
    columns = (Column("data"), Column("model", "subject"), *rates)
    if len(threats) > _ACROSS and len(set(frame["data"])) == 1 and frame["model"].is_unique:
        columns, frame = _turned(frame)
    return Table(
        caption="Clean accuracy, and the share of images that withstood every attack within the radius, "
        "on every surface and by every toolkit (worst case per image); 95 % Wilson intervals.",
        columns=columns,
        frame=frame,
        group="data",
        notes=tuple(mark_notes(frame.to_numpy().ravel())),
    )


def _turned(frame: pd.DataFrame) -> tuple[tuple[Column, ...], pd.DataFrame]:
    """Return a brief headline with a row a radius and a column a model."""
    turned = frame.drop(columns="data").set_index("model").T
    turned.index = [title.removesuffix(" (%)") for title in turned.index]
    made = turned.rename_axis(columns=None).rename_axis("threat").reset_index()
    made.insert(0, "data", frame["data"].iloc[0])
    rates = (Column(str(model), "rate") for model in frame["model"])
    return (Column("data"), Column("threat", "threat"), *rates), made


def _shown(findings: Findings) -> pd.DataFrame:
    """Return the headline of the models that the study shows; of a plain suite, all of it."""
    found = findings.measured.headline
    if findings.beside is None:
        return found
    kept = [findings.study.shown(findings.own_name(str(model))) for model in found["model"]]
    return found[pd.Series(kept, index=found.index, dtype=bool)]


def matrices(findings: Findings) -> Iterator[ThreatMatrix]:
    """Yield the headline in the shape of a paper's table, one a data set."""
    found = _shown(findings)
    data_of = found["model"].map(findings.data_of)
    several = len(set(data_of)) > 1
    for data, rows in found.groupby(data_of, sort=False):
        yield _matrix(findings, rows, str(data), f"headline-{data}" if several else "headline")


def _matrix(findings: Findings, rows: pd.DataFrame, data: str, label: str) -> ThreatMatrix:
    letters = formatting.lettered(_lacking(row) for row in rows.to_dict("records"))
    threats = _threats(rows)
    at = {(row["model"], row["norm"], row["eps_text"]): row for row in rows.to_dict("records")}
    clean = {str(row["model"]): row["clean_accuracy"] for row in rows.to_dict("records")}
    best = [_best([at.get((model, *threat)) for model in clean]) for threat in threats]
    counts = sorted(set(rows["n"]))
    images = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    return ThreatMatrix(
        name="headline",
        label=label,
        caption="Clean accuracy and robust accuracy (%), the share of images that withstood every valid "
        f"attack of the threat, worst case per image, on {images} images of {data} "
        f"({findings.results.protocol['split']}).",
        threats=tuple(threats),
        rows=tuple(
            (
                findings.called(model),
                formatting.percent(share),
                tuple(
                    _score(at.get((model, *threat)), top, letters)
                    for threat, top in zip(threats, best, strict=True)
                ),
            )
            for model, share in clean.items()
        ),
        notes=tuple((letter, note) for note, letter in letters.items()),
    )


def _threats(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return norm and eps of the columns: norms as the run names them, radii ascending."""
    threats = rows[["norm", "eps_text", "eps"]].drop_duplicates(["norm", "eps_text"])
    order = {norm: turn for turn, norm in enumerate(dict.fromkeys(threats["norm"]))}
    threats = threats.sort_values("eps", kind="stable").sort_values(
        "norm", key=lambda norms: norms.map(order), kind="stable"
    )
    return [(str(row["norm"]), str(row["eps_text"])) for row in threats.to_dict("records")]


def _best(rows: Sequence[Mapping[Any, Any] | None]) -> str:
    """Return the best figure of a column as it is printed; empty where all are alike."""
    known = [row["robust_accuracy"] for row in rows if row is not None]
    printed = [formatting.percent(share) for share in known if not formatting.missing(share)]
    return max(printed, key=float) if len(set(printed)) > 1 else ""


def _score(row: Mapping[Any, Any] | None, best: str, letters: Mapping[str, str]) -> Score | None:
    if row is None:
        return None
    mark = letters.get(_lacking(row), "")
    if formatting.missing(row["robust_accuracy"]):
        return Score(text="invalid", interval="", mark=mark, best=False)
    figure = formatting.percent(row["robust_accuracy"])
    interval = f"{formatting.percent(row['low'])}, {formatting.percent(row['high'])}"
    return Score(text=figure, interval=interval, mark=mark, best=figure == best)


def _lacking(row: Mapping[Any, Any]) -> str:
    """Return what a reader of a figure has to know, and how many attacks it lacks."""
    some = row["attacks"] < row["planned"]
    attacks = f"{row['attacks']} of {row['planned']} attacks count" if some else ""
    flag = formatting.text(row["flag"])
    against = ""
    if row["trust"] in ("doubtful", "invalid") and not flag.startswith("INVALID"):
        against = f"{row['trust']}: {row['reasons']}"
    return formatting.join(flag.removeprefix("INVALID: "), attacks, against)


SECTION = SectionRule(name="headline", place=30, make=section, frames=frames)
