"""Whether two toolkits agree on one attack as closely as they should."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.errors import SpecError
from bench.measure.outcomes import Outcomes
from bench.measure.statistics import mcnemar
from bench.spec import TOOLKITS, AttackSpec, Toolkit, eps_text
from bench.store.columns import attacked, places
from bench.store.results import Results
from bench.trust.checks.registry import Check, Finding, Status

if TYPE_CHECKING:
    from bench.attacks.row import Parity

_NORMS = ["l0", "l1", "l2", "linf"]
_ULP = 2.0**-23  # the distance from 1.0 to the next float32
_AGREE = 0.99
_FEW = 2

_COLUMNS = (
    "model", "surface", "attack", "norm", "eps_text", "left", "right", "expected",
    "bound", "n", "equal_verdicts", "discordant", "mcnemar_p", "max_difference", "norm_ratio", "passed", "cause",
    "left_cell", "right_cell",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The rows of the images that both toolkits attacked, and how their verdicts compare."""

    left: pd.DataFrame
    right: pd.DataFrame
    only_left: int
    only_right: int

    @property
    def n(self) -> int:
        return len(self.left)

    @property
    def discordant(self) -> int:
        return self.only_left + self.only_right


def parity(results: Results) -> pd.DataFrame:
    """Return how closely each pair of toolkits agrees on each attack, and whether that is enough.

    Two cells are compared when model, surface, attack, norm, eps and all parameters are the same; `left`
    and `right` are in the order of `spec.TOOLKITS`. The class of a pair is the catalogue's:

    - `identical`: the kept pictures are equal, the four norms of every image are equal, and so are
      all verdicts;
    - `one-ulp`: no pixel of the kept pictures differs by more than 2**-23, and `verdict` holds;
    - `verdict`: at least 99 % of the verdicts are equal (less where the catalogue says so), or at
      most two differ;
    - `rate`: the success rates differ by at most what the catalogue says, or by two images. Random searches
      can agree no better: two runs of one toolkit differ as much;
    - `norm`: low <= norm ratio <= high, as the catalogue says for this pair in this order, and
      `rate` holds; where only one side broke images there is no ratio, and `rate` alone is judged;
    - `differs`: two algorithms under one name; never judged.

    Returns:
        `model, surface, attack, norm, eps_text, left, right`;
        `expected` (the class; null where the catalogue has none);
        `bound` (what was required of this pair, in words; null if nothing is expected of it or no image
        was attacked by both);
        `n` (images both attacked); `equal_verdicts` (share of them); `discordant` (how many differ);
        `mcnemar_p` (exact, two-sided);
        `max_difference` (largest |left - right| over the pixels of the kept pictures; null unless the
        class is `identical` or `one-ulp`);
        `norm_ratio` (median norm of left / median norm of right, in the attack's norm, over the
        images both broke for a minimal-norm attack, over all both attacked otherwise);
        `passed` (boolean; null if it cannot be judged) and `cause` (why no closer agreement is
        expected, or why it cannot be judged); `left_cell, right_cell` (their keys).
    """
    cells = results.cells.assign(same=results.cells["parameters"].map(_canonical))
    alike = ["model", "surface", "attack", "norm", "eps", "same"]
    groups = cells.groupby(alike, sort=False, dropna=False)
    cells = cells[
        groups["toolkit"].transform("nunique") > 1
    ]  # in a large run, few cells have a counterpart
    rows = _by_cell(results.rows)
    pairs = []
    every = cells.to_dict("records")
    for group in cells.groupby(alike, sort=False, dropna=False).indices.values():
        by_toolkit = {every[at]["toolkit"]: every[at] for at in group}
        for left, right in combinations([name for name in TOOLKITS if name in by_toolkit], 2):
            pairs.append(_compare(results, rows, by_toolkit[left], by_toolkit[right]))
    table = pd.DataFrame(pairs, columns=list(_COLUMNS))
    return table.astype({
        "expected": "str", "bound": "str", "n": "int64", "equal_verdicts": "float64", "discordant": "int64",
        "mcnemar_p": "float64", "max_difference": "float64", "norm_ratio": "float64",
        "passed": "boolean", "cause": "str",
    })  # fmt: skip


def _by_cell(rows: pd.DataFrame) -> Callable[[str], pd.DataFrame | None]:
    """Return what gives, of the images that a cell attacked, what is compared, by image; None of one that is not done."""
    there, tried = places(rows["cell"]), attacked(rows).to_numpy(bool)
    read = rows[["index", "success", *_NORMS]]

    @lru_cache(maxsize=64)
    def of_cell(key: str) -> pd.DataFrame | None:
        at = there.get(key)
        return None if at is None else read.iloc[at][tried[at]].set_index("index")

    return of_cell


def _canonical(parameters: dict[str, Any]) -> str:
    return json.dumps(parameters, sort_keys=True)


def _compare(
    results: Results,
    rows: Callable[[str], pd.DataFrame | None],
    left_cell: Mapping[Hashable, Any],
    right_cell: Mapping[Hashable, Any],
) -> dict[str, Any]:
    """Return one row of the table; `rows` is of `_by_cell`."""
    left, right = left_cell["toolkit"], right_cell["toolkit"]
    eps = left_cell["eps"] if isinstance(left_cell["eps"], str) else None
    row = {name: left_cell[name] for name in ("model", "surface", "attack", "norm")}
    row |= {"eps_text": eps or eps_text(None), "left": left, "right": right}
    row |= {"n": 0, "discordant": 0}
    row |= {"left_cell": left_cell["cell"], "right_cell": right_cell["cell"]}
    expected, cause = _expected(left_cell, eps, left, right)
    if expected is not None:
        row["expected"] = expected.cls
    absent = [cell["toolkit"] for cell in (left_cell, right_cell) if cell["status"] != "done"]
    if absent:
        return row | {"cause": f"{' and '.join(absent)} did not run"}
    pair = _pair(rows(left_cell["cell"]), rows(right_cell["cell"]))
    if pair is None:
        return row | {"cause": "no image was attacked by both"}
    ratio = _norm_ratio(pair, left_cell["norm"], minimal=left_cell["kind"] == "minimal")
    difference = None
    if expected is not None and expected.cls in ("identical", "one-ulp"):
        difference = _max_difference(results, left_cell["cell"], right_cell["cell"])
    passed = None if expected is None else _passed(expected, pair, difference, ratio)
    if passed is None and expected is not None and expected.cls != "differs":
        cause = "no pictures kept" if expected.cls != "norm" else "no norms to compare"
    if expected is not None:
        row["bound"] = _bound(expected, pair.n)
    return row | {
        "n": pair.n,
        "equal_verdicts": 1 - pair.discordant / pair.n,
        "discordant": pair.discordant,
        "mcnemar_p": mcnemar(pair.only_left, pair.only_right),
        "max_difference": difference,
        "norm_ratio": ratio,
        "passed": passed,
        "cause": cause,
    }


def _expected(
    cell: Mapping[Hashable, Any], eps: str | None, left: Toolkit, right: Toolkit
) -> tuple[Parity | None, str]:
    """Return what the catalogue expects of a pair, and its cause."""
    from bench.attacks.catalogue import expected_parity

    parameters = tuple(sorted(cell["parameters"].items()))
    spec = AttackSpec(name=cell["attack"], norm=cell["norm"], eps=eps, parameters=parameters)
    try:
        expected = expected_parity(spec, left, right)
    except SpecError as error:
        return None, str(error)
    return expected, expected.cause


def _pair(left: pd.DataFrame | None, right: pd.DataFrame | None) -> _Pair | None:
    """Return the rows of the images that both cells attacked; None if there is none."""
    if left is None or right is None:
        return None
    if not left.index.equals(right.index):
        both = left.index.intersection(right.index)
        left, right = left.loc[both], right.loc[both]
    if left.empty:
        return None
    left_broke, right_broke = left["success"], right["success"]
    return _Pair(
        left=left,
        right=right,
        only_left=int((left_broke & ~right_broke).sum()),
        only_right=int((right_broke & ~left_broke).sum()),
    )


def _norm_ratio(pair: _Pair, norm: str, *, minimal: bool) -> float | None:
    counted = pair.left["success"] & pair.right["success"] if minimal else slice(None)
    left, right = pair.left.loc[counted, norm].median(), pair.right.loc[counted, norm].median()
    ratio = float(np.divide(left, right)) if right else float("nan")
    return None if np.isnan(ratio) else ratio


def _max_difference(results: Results, left: str, right: str) -> float | None:
    """Return the largest difference of a pixel between the pictures that both cells kept."""
    first, second = results.pictures(left), results.pictures(right)
    if not first or not second:
        return None
    at = {int(index): place for place, index in enumerate(second["index"])}
    places = [(i, at[int(index)]) for i, index in enumerate(first["index"]) if int(index) in at]
    if not places:
        return None
    in_first, in_second = (list(side) for side in zip(*places, strict=True))
    gap = (first["x_adv"][in_first].double() - second["x_adv"][in_second].double()).abs()
    return float(gap.nan_to_num(nan=float("inf")).max())


def _passed(
    expected: Parity, pair: _Pair, difference: float | None, ratio: float | None
) -> bool | None:
    """Return whether a pair agrees as expected; None if it cannot be judged."""
    if expected.cls == "differs":
        return None
    agree = pair.discordant <= _discordant(expected, pair.n)
    if expected.cls == "verdict":
        return agree
    if expected.cls in ("rate", "norm"):
        fewer, more = _more(expected, pair.n)
        alike = fewer <= pair.only_left - pair.only_right <= more
        if expected.cls == "rate" or not alike:
            return alike
        return None if ratio is None else bool(expected.low <= ratio <= expected.high)
    if expected.cls == "one-ulp":
        near = agree if difference is None else agree and difference <= _ULP
        return None if near and difference is None else near
    equal = pair.discordant == 0 and pair.left[_NORMS].equals(pair.right[_NORMS])
    if not equal:
        return False
    return None if difference is None else difference == 0


def _discordant(expected: Parity, n: int) -> int:
    """Return how many of n verdicts may differ."""
    return max(_FEW, math.floor((1 - min(expected.low, _AGREE)) * n + 1e-9))


def _more(expected: Parity, n: int) -> tuple[int, int]:
    """Return how many more images left may fool than right, as the smallest and the largest number."""
    low, high = expected.low, expected.high
    if expected.cls == "norm":
        low, high = -expected.within, expected.within
    return min(-_FEW, math.ceil(low * n - 1e-9)), max(_FEW, math.floor(high * n + 1e-9))


def _bound(expected: Parity, n: int) -> str | None:
    """Return in words what is required of a pair with n images; None if it is not judged."""
    if expected.cls == "differs":
        return None
    if expected.cls == "identical":
        return "all equal"
    differ = f"{_discordant(expected, n)} may differ"
    if expected.cls in ("verdict", "one-ulp"):
        return differ if expected.cls == "verdict" else f"2^-23 a pixel, {differ}"
    fewer, more = _more(expected, n)
    rates = f"±{more} images" if more == -fewer else f"{fewer:+d} to {more:+d} images"
    if expected.cls == "rate":
        return rates
    return f"ratio {expected.low:.4g} to {expected.high:.4g}, {rates}"


def agreement_of_toolkits(outcomes: Outcomes) -> list[Finding]:
    """Return a finding for each pair of toolkits that ran the same attack on the same model."""
    return parity_findings(parity(outcomes.results))


def parity_findings(pairs: pd.DataFrame) -> list[Finding]:
    """Return a finding for each row of `parity`: `warn` where a pair could not be judged."""
    return [_finding(pair) for pair in pairs.to_dict("records")]


def _finding(pair: Mapping[Hashable, Any]) -> Finding:
    """Return the finding on one row of `parity`."""
    toolkits = f"{pair['left']} and {pair['right']}"
    differ = f"{pair['discordant']} of {pair['n']} verdicts differ"
    status: Status
    remedy = ""
    if pair["expected"] == "differs":
        status = "not applicable"
        sentence = f"{toolkits} have two algorithms under one name: {pair['cause']}"
    elif pd.isna(pair["passed"]):
        status, sentence = "warn", f"{toolkits} could not be compared: {pair['cause']}"
    elif pair["passed"]:
        status, sentence = "pass", f"{toolkits} agree as expected: {differ}"
    else:
        status, sentence = "fail", f"{toolkits} differ more than they should: {differ}"
        remedy = f"compare their parameters, `bench ls attacks {pair['attack']}`"
    return Finding(
        status=status,
        sentence=sentence,
        value=float(pair["discordant"]),
        bound="" if pd.isna(pair["bound"]) else str(pair["bound"]),
        remedy=remedy,
        subject=f"{pair['attack']} {pair['norm']} {pair['eps_text']} on {pair['model']}, {pair['surface']}",
    )


PARITY = Check(
    id="parity",
    title="toolkits agree about the same attack",
    needs="rows",
    run=agreement_of_toolkits,
)
