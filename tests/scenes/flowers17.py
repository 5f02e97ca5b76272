"""A run of the study of flowers: trainings, ensembles, features and attacks whose figures are known beforehand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import build
import numpy as np
from build import PlantedCell, cell

from bench.store.results import Results

PUBLISHED = Path(__file__).parents[2] / "bench" / "studies" / "flowers17" / "published.csv"
IMAGES = 100
MEMBERS = tuple(f"flowers17/mk-{number}-aug-all-slim" for number in range(2, 7))
_JOINED = "+".join(member.removeprefix("flowers17/") for member in MEMBERS)
BAGGING = f"flowers17/ensemble-bagging-{_JOINED}"
MAJORITY = f"flowers17/ensemble-majority-{_JOINED}"
LEAKY = f"flowers17/ensemble-stacking-{_JOINED}-leak=True"
STACKING = f"flowers17/ensemble-stacking-{_JOINED}"
TOPS = ("naive-bayes", "knn", "linear-svm", "rbf-svm", "logistic", "forest")
LITE, CIFAR = "efficientnet-lite0", "cifar10-cnn"
PLAIN = ("baseline", "mk-1", "mk-2", "mk-3")
TUNED = (
    "adam",
    "sgd",
    "adam-bn",
    "sgd-bn",
    "adam-dropout",
    "sgd-dropout",
    "adam-bn-dropout",
    "sgd-bn-dropout",
)
#: Images that each model gets wrong; of all others the first ten.
WRONG = {LEAKY: range(20), STACKING: range(25), BAGGING: range(22), MAJORITY: range(30),
         f"flowers17/features-{LITE}-logistic": range(7)}  # fmt: skip
#: How many of the images each kind of access breaks at each radius, as a share of the worst.
RADII = ("1/255", "2/255", "4/255", "8/255")
_WAYS: Mapping[str, tuple[str, float]] = {
    "apgd-ce": ("white", 1.0), "pgd": ("decision", 0.5), "square": ("score", 0.8),
    "hopskipjump": ("decision", 0.6),
}  # fmt: skip


def features(top: str, trunk: str = LITE) -> str:
    """Return the name of a classifier on features."""
    return f"flowers17/features-{trunk}-{top}"


def attacked(model: str, surface: str, strength: float) -> list[PlantedCell]:
    """Return cells of one model through a surface, a substitute, its scores and its labels."""
    through = {"apgd-ce": surface, "pgd": "substitute-500", "square": "predict"}
    cells = [
        cell(model, attack, eps, _broken(share * strength, turn, attack), images=IMAGES,
             surface=through[attack])
        for attack, (_, share) in _WAYS.items() if attack in through
        for turn, eps in enumerate(RADII, 1)
    ]  # fmt: skip
    distance = {image: 0.001 * (1 + image % 40) for image in range(IMAGES)}
    minimal = cell(model, "hopskipjump", None, range(0, IMAGES, 2), surface="predict",
                   distance=distance, images=IMAGES)  # fmt: skip
    return [*cells, minimal]


def _broken(share: float, turn: int, attack: str) -> Collection[int]:
    rng = np.random.default_rng(len(attack))
    return np.argsort(rng.random(IMAGES))[: round(IMAGES * min(1, share * turn / 4))].tolist()


#: The surface of each model of the central picture, and how strongly it is broken through it.
CENTRAL = {
    features("logistic"): ("exact", 0.9), features("knn"): ("soft-knn", 0.8),
    features("forest"): ("distilled", 0.4), BAGGING: ("network", 0.9), STACKING: ("mean", 0.7),
}  # fmt: skip


def curves(seed: int, epochs: int, top: float, overfits: bool = True) -> Sequence[Sequence[float]]:
    """Return loss and accuracy on training, validation and test images by epoch."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, epochs)
    train = 2.8 * np.exp(-4 * time)
    rise = 1.6 * np.clip(time - 0.4, 0, None) ** 2 if overfits else 0
    held = 2.8 - (2.8 - 1.2) * (1 - np.exp(-6 * time)) + rise
    noise = [0.02 * rng.standard_normal(epochs) for _ in range(4)]
    share = top * (1 - np.exp(-6 * time))
    return (
        train.tolist(), np.clip(1 - train / 2.9, 0, 1).tolist(),
        (held + noise[0]).tolist(), np.clip(share + noise[1], 0, 1).tolist(),
        (held + noise[2]).tolist(), np.clip(share + noise[3], 0, 1).tolist(),
    )  # fmt: skip


def trainings() -> tuple[dict[str, Any], ...]:
    """Return five trainings of each plain network, of others one; those of tuned heads in two phases."""
    made = []
    for turn, name in enumerate(PLAIN):
        for seed in range(5):
            plain = curves(10 * turn + seed, 50, 0.5 - 0.03 * turn)
            made.append(_training(f"flowers17/{name}-slim", plain, seed))
    for turn, name in enumerate(
        ("mk-2-aug-zoom", "mk-2-aug-flips", "mk-3-aug-zoom", "mk-3-aug-flips")
    ):
        made.append(_training(f"flowers17/{name}-slim", curves(60 + turn, 150, 0.6)))
    for turn, name in enumerate(MEMBERS):
        made.append(_training(name, curves(70 + turn, 150, 0.75, overfits=False)))
    for turn, (trunk, name) in enumerate((t, n) for t in (LITE, "cifar10") for n in TUNED):
        top = 0.9 if trunk == LITE else 0.5
        one = curves(90 + turn, 75, top - 0.05 * ("sgd" in name), overfits=False)
        made.append(_training(f"flowers17/tuned-{trunk}-{name}", one, phases=(25, 50)))
    return tuple(made)


def _training(
    name: str, made: Sequence[Sequence[float]], seed: int = 0, phases: Sequence[int] = ()
) -> dict[str, Any]:
    return {**build.training(name, *made, seed=seed, phases=phases), "data": "flowers17"}


def importances(first: float) -> dict[str, list[float]]:
    """Return importances of 17 classes of five members; the first member has a share of all."""
    shares = [first, *((1 - first) / 4,) * 4]
    return {member: [share / 17] * 17 for member, share in zip(MEMBERS, shares, strict=True)}


def results(leave_out: Collection[str] = ()) -> Results:
    """Return the results of a run of the study in which every cell is done.

    Args:
        leave_out: attacks that the run does not make.
    """
    cells = [one for model, (surface, strength) in CENTRAL.items()
             for one in attacked(model, surface, strength)]  # fmt: skip
    others = [features(top, trunk) for trunk in (LITE, CIFAR) for top in TOPS]
    slim = [f"flowers17/{name}-slim" for name in PLAIN] + list(MEMBERS)
    named = [model for model in (*others, *slim, LEAKY, MAJORITY) if model not in CENTRAL]
    cells += [cell(model, "fgsm", "8/255", range(60), images=IMAGES) for model in named]
    cells.append(cell("flowers17/mk-2-slim", "jsma", None, range(40), norm="l0", images=IMAGES))
    cells = [one for one in cells if one.attack not in leave_out]
    models: dict[str, dict[str, Any]] = {
        model: {"data": "flowers17", "family": "features" if "/features" in model else "network"}
        for model in (*others, *slim, LEAKY, MAJORITY, *CENTRAL)
    }
    for model in (BAGGING, MAJORITY, STACKING, LEAKY):
        how = model.removeprefix("flowers17/ensemble-").partition("-")[0]
        meta = "RandomForestClassifier" if how == "stacking" else None
        models[model] |= {"family": "ensemble", "combined": {"how": how, "meta": meta}}
    for model, leak in ((STACKING, False), (LEAKY, True)):
        models[model]["importances"] = importances(0.4 if leak else 0.2)
        models[model]["combined"] |= {"leak": leak, "fitted_on": "validation", "fit_images": 170}
    wrong = {model: WRONG.get(model, range(10)) for model in models}
    made = build.results(
        cells, wrong=wrong, models=models, images=IMAGES, suite="flowers17", title="Flowers-17",
        trainings=trainings(),
    )  # fmt: skip
    access = {attack: how for attack, (how, _) in _WAYS.items()}
    return build.replace(
        made, cells=made.cells.assign(access=made.cells["attack"].map(access).fillna("white"))
    )
