"""How good the attacks of a run are beside one another, on the same images and for the passes they spent.

A *method* is an attack as it ran on one model: parameters, toolkit and surface; its cells differ in the
radius alone. Two scores say what it did, divided by what all attacks of the run did together:

- minimal-norm attacks: the local optimality (`bench.measure.optimality`), over all radii;
- all attacks: successes, summed over the radii at which a method ran. A minimal-norm attack succeeds at
  each radius that is not below its distance, so it is counted at all radii of the run.

A fixed-budget attack has no local optimality: its distances are the radii that it was given, so the
integral would say how close together these are.

Each score is also given at equal passes, divided by what the methods did together that spent as many
passes or fewer; and divided by the passes. Passes are forward and backward ones, mean over the images
attacked, and over the radii of a method.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.measure.optimality import gain_below, share
from bench.measure.outcomes import Outcomes, broken
from bench.measure.threats import SAME_RADIUS, data_sets, threats
from bench.spec import FIXED, MINIMAL, SubstituteName

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: Passes that differ by at most this share are equal.
_EQUAL = 0.1

#: A figure of fewer methods says no more than their table.
_FEWEST = 3

#: What a method is called by, beside the model.
METHOD = ("norm", "attack", "toolkit", "surface")

_SCORES = ("at_radii", "optimality")
COLUMNS = (
    "data", "model", *METHOD, "kind", "radii", "n", "passes", "success",
    *(f"{score}{after}" for score in _SCORES for after in ("", "_equal_passes", "_per_pass")), "flag",
)  # fmt: skip


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Method:
    """An attack as it ran on one model.

    Attributes:
        name: as `METHOD`.
        kind: fixed or minimal.
        distances: float (N,) for each radius at which the method ran, or for NaN of a minimal-norm attack:
            at which it breaks each image.
        passes: mean over images and radii.
        flag: why a cell of it cannot count; empty where all can.
    """

    name: tuple[str, ...]
    kind: str
    distances: Mapping[float, Floats]
    passes: float
    flag: str

    def successes(self, radius: float) -> Flags | None:
        """Return which images, (N,), the method breaks within a radius; None where it did not run."""
        found = self.at(radius)
        return None if found is None else broken(found, radius)

    def at(self, radius: float) -> Floats | None:
        """Return the distances, (N,), at which the method breaks images within a radius; None where it did not run."""
        if self.kind == MINIMAL:
            return self.distances[next(iter(self.distances))]
        if radius in self.distances:
            return self.distances[radius]
        near = (own for own in self.distances if abs(own - radius) <= SAME_RADIUS * radius)
        found = next(near, None)
        return None if found is None else self.distances[found]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Contest:
    """The methods that attack one model in one norm.

    Attributes:
        best: float (N,), the least distance at which any attack of the run breaks each image that the
            model gets right; infinite where none does.
        radii: those of the fixed-budget methods, ascending.
    """

    data: str
    model: str
    norm: str
    methods: Sequence[Method]
    best: Floats
    radii: Mapping[float, str]

    def as_cheap(self, passes: float) -> list[Method]:
        """Return the methods that spent at most as many passes, up to a tenth."""
        return [one for one in self.methods if one.passes <= (1 + _EQUAL) * passes]


def contests(outcomes: Outcomes, called: Mapping[str, str]) -> list[Contest]:
    """Return what can be compared: models that several attacks attack in one norm.

    One attack by several toolkits is none: parity compares these. Attacks with a goal of their own, noise
    and those that left out images count in `Contest.best` alone; so do universal perturbations,
    attacks through a substitute and images that others made, whose rows do not hold all passes that they cost.

    Args:
        outcomes: of the run.
        called: the attack of each cell in words, alike for cells that differ in the radius alone.
    """
    cells, data = outcomes.cells, data_sets(outcomes.results)
    cells = cells[cells["status"] == "done"]
    fitted = cells["parameters"].map(lambda given: "fitted_on" in given).astype(bool)
    through = cells["surface"].map(lambda name: SubstituteName.read(name) is not None).astype(bool)
    outside = cells["access"] == "none"
    scored = cells["shows_robust"] & ~fitted & ~through & ~outside
    cells = cells.assign(attack=cells["cell"].map(called), scored=scored)
    found = []
    for (model, norm), every in cells.groupby(["model", "norm"], sort=False):
        compared = every[every["scored"]]
        if compared["attack"].nunique() < 2:
            continue
        group = outcomes.group(every["cell"])
        kept = group.attacked_by_all(compared["cell"]) & (group.least >= 0)
        if not kept.any():
            continue
        distances = {cell: group.distances[kept, place] for cell, place in group.column.items()}
        asked = threats(compared[compared["kind"] == FIXED])
        found.append(Contest(
            data=data[str(model)], model=str(model), norm=str(norm), best=group.least[kept],
            methods=[
                _method(name, of_method, distances)
                for name, of_method in compared.groupby(list(METHOD), sort=False)
            ],
            radii=dict(zip(asked["radius"], asked["eps"], strict=True)),
        ))  # fmt: skip
    return found


def _method(
    name: tuple[Hashable, ...], cells: pd.DataFrame, distances: Mapping[str, Floats]
) -> Method:
    passes = cells["forwards"].fillna(0) + cells["backwards"].fillna(0)
    flags = [flag for flag in cells["flag"] if flag]
    return Method(
        name=tuple(map(str, name)), kind=str(cells["kind"].iloc[0]), passes=float(passes.mean()),
        distances={
            radius: distances[cell]
            for cell, radius in zip(cells["cell"], cells["radius"], strict=True)
        },
        flag=flags[0] if flags else "",
    )  # fmt: skip


def quality(found: Sequence[Contest]) -> pd.DataFrame:
    """Return how good each method is, a row a model and method.

    Args:
        found: of `contests`.

    Returns:
        `data, model, norm, attack` (in words), `toolkit, surface, kind` (fixed or minimal), `radii` (at
        which it ran, as text; of a minimal-norm attack those at which it is counted), `n` (images that the
        model gets right), `passes`; `success` (share of the images broken; of a
        fixed-budget attack the mean over its radii); the scores at the head of this file: `at_radii`
        (null if the run has no radius in this norm) and `optimality` (null for a fixed-budget attack), each with
        `_equal_passes` and `_per_pass` (null where no passes were counted); `flag`.
    """
    rows = [_row(contest, method) for contest in found for method in contest.methods]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(contest: Contest, method: Method) -> dict[str, object]:
    at = {
        radius: hits
        for radius in contest.radii
        if (hits := method.successes(radius)) is not None
    }  # fmt: skip
    n = len(contest.best)
    rates = [float(hits.sum()) for hits in at.values()]
    minimal = method.kind == MINIMAL
    broken_by = (
        float(np.isfinite(_nearest(method)).sum()) if minimal else sum(rates) / max(1, len(rates))
    )

    def at_radii(methods: Sequence[Method]) -> float:
        return float(sum(_together(methods, radius, n).sum() for radius in at))

    row = {
        "data": contest.data, "model": contest.model, **dict(zip(METHOD, method.name, strict=True)),
        "kind": method.kind, "radii": ", ".join(contest.radii[radius] for radius in at), "n": n,
        "passes": method.passes, "success": share(broken_by, n), "flag": method.flag,
    }  # fmt: skip
    by_all = float(sum(broken(contest.best, radius).sum() for radius in at))
    row |= _scores("at_radii", contest, method, at_radii, by_all)
    if minimal:
        finite = contest.best[np.isfinite(contest.best)]
        farthest = float(finite.max(initial=0.0))

        def area(methods: Sequence[Method]) -> float:
            nearest = [_nearest(one) for one in methods if one.kind == MINIMAL]
            return gain_below(np.min(nearest, axis=0), farthest)

        row |= _scores("optimality", contest, method, area, gain_below(contest.best, farthest))
    return row


def _scores(
    score: str,
    contest: Contest,
    method: Method,
    gain: Callable[[Sequence[Method]], float],
    best: float,
) -> dict[str, float]:
    """Return a score, also at equal passes and per pass, from what some methods gain together."""
    own = gain([method])
    value = share(own, best)
    return {
        score: value,
        f"{score}_equal_passes": share(own, gain(contest.as_cheap(method.passes))),
        f"{score}_per_pass": share(value, method.passes),
    }


def _nearest(method: Method) -> Floats:
    """Return the distance, (N,), at which a minimal-norm method breaks each image."""
    return next(iter(method.distances.values()))


def _together(methods: Sequence[Method], radius: float, n: int) -> Flags:
    """Return which of n images some methods break together within a radius."""
    found = [own for method in methods if (own := method.at(radius)) is not None]
    return broken(np.fmin.reduce(found), radius) if found else np.zeros(n, dtype=bool)


def success_against_passes(found: Sequence[Contest]) -> pd.DataFrame:
    """Return success at one radius against passes, a row a data set and method, mean over models.

    The methods are those that attack every model that is compared in the norm, so that all means are over the
    same models; of fewer than three there is no row. The radius is the one at which the success of the methods differs most; where the norm has no radius,
    the median distance at which the best of all attacks breaks an image.

    Args:
        found: of `contests`.

    Returns:
        `data, norm, eps` (as text), `attack, toolkit, surface, passes, success` (share of the images that
        the model gets right), `together` (share that is broken by those of these methods that spent as many
        passes or fewer, on each model), `models` (how many) and `asked` (whether the run has this radius); by data set,
        norm and passes.
    """
    points: list[pd.DataFrame] = []
    for key in dict.fromkeys((one.data, one.norm) for one in found):
        alike = _with_shared_methods([one for one in found if (one.data, one.norm) == key])
        radii = {radius: eps for one in alike for radius, eps in one.radii.items()}
        asked = bool(radii)
        if not asked:
            distances = np.concatenate([one.best[np.isfinite(one.best)] for one in alike])
            median = float(np.median(distances)) if len(distances) else 0.0
            radii = {median: f"{median:.3g}"} if median > 0 else {}
        at = [_points(alike, radius, eps) for radius, eps in radii.items()]
        at = [part for part in at if len(part) >= _FEWEST]
        spread = [float(part["success"].max() - part["success"].min()) for part in at]
        points += [at[int(np.argmax(spread))].assign(asked=asked)] if at else []
    names = ["data", "norm", "eps", *METHOD[1:], "passes", "success", "together", "models", "asked"]
    return (
        pd.concat(points, ignore_index=True)[names] if points else pd.DataFrame([], columns=names)
    )


def _with_shared_methods(alike: Sequence[Contest]) -> list[Contest]:
    """Return contests with those methods alone that all of them have."""
    shared = set.intersection(*({method.name for method in one.methods} for one in alike))
    return [
        replace(one, methods=[method for method in one.methods if method.name in shared])
        for one in alike
    ]


def _points(alike: Sequence[Contest], radius: float, eps: str) -> pd.DataFrame:
    """Return success and passes at one radius of the methods on models of one data set and norm."""
    tried = [
        {**dict(zip(METHOD, method.name, strict=True)), "passes": method.passes,
         "success": float(hits.mean()),
         "together": float(
             _together(contest.as_cheap(method.passes), radius, len(contest.best)).mean()
         )}
        for contest in alike
        for method in contest.methods
        if (hits := method.successes(radius)) is not None
    ]  # fmt: skip
    columns = [*METHOD, "passes", "success", "together"]
    means = pd.DataFrame(tried, columns=columns).groupby(list(METHOD), sort=False)
    table = means[columns[len(METHOD) :]].mean().join(means.size().rename("models")).reset_index()
    table = table[table["models"] == len(alike)].sort_values("passes", kind="stable")
    return table.assign(data=alike[0].data, eps=eps)
