"""The family of ensembles: models of one data set that answer together.

A suite names the members in one text, since a list means several ensembles:

    [[models]]
    name    = "digits/ensemble"
    members = "digits/mlp + digits/cnn"                 # options behind a name: "digits/dml-... k=3"
    how     = ["bagging", "majority", "stacking"]

Imports torch when called.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.spec import Adapter, ModelName, ModelRequest, Scalar, scalar

#: The models, one for each data set; their options say the rest.
ENSEMBLES = tuple(f"{data}/ensemble" for data in DATASETS)

#: The options of an ensemble: `members`, separated by `+`; `how` they are combined (bagging); and of
#: stacking `meta`, the class of scikit-learn that is the meta-learner (RandomForestClassifier), and what that
#: is fitted on: images that no member was trained on (see `bench.train.stacking`), with `folds` by
#: cross-validation, with `leak = true` the members' own training images.
OPTIONS = ("members", "how", "meta", "leak", "folds")

_STACKING = ("meta", "leak", "folds")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaFit:
    """How the meta-learner of stacking is fitted.

    Attributes:
        meta: the name of its class in scikit-learn.
        leak: whether on the images that the members were trained on.
        folds: of cross-validation over the training images; 0 for images held out from all training.
    """

    meta: str
    leak: bool = False
    folds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """How the members of an ensemble are combined; `fit` is None without a meta-learner."""

    how: str
    fit: MetaFit | None = None


def members_of(name: str, options: Mapping[str, Scalar]) -> tuple[ModelRequest, ...]:
    """Return the members of an ensemble, after checking its options.

    Raises:
        SpecError: an option is missing or wrong.
    """
    text = options.get("members")
    if not isinstance(text, str):
        data = ModelName.read(name).data
        raise SpecError(
            f'{name} needs members = "MODEL + MODEL" in its [[models]] table, such as '
            f'"{data}/one + {data}/other"; or register bench.wrap_ensemble([...]) under a name'
        )
    members = tuple(_member(name, part) for part in text.split("+"))
    if len(members) < 2:
        raise SpecError(f"{name}: members={text!r} is one model; write two or more, with + between")
    if len(set(members)) < len(members):
        raise SpecError(f"{name}: members={text!r} names a model twice")
    _settings(name, options)
    return members


def _member(name: str, text: str) -> ModelRequest:
    """Return a member from its name and options, such as `digits/dml-triplet-sgd k=3`."""
    called, *given = text.split() or [""]
    options = dict(part.partition("=")[::2] for part in given)
    if not called or not all("=" in part for part in given):
        raise SpecError(
            f"{name}: members: {text.strip()!r} is not the name of a model, with options as key=value "
            "behind it"
        )
    return ModelRequest(
        name=called, options=tuple(sorted((key, scalar(text)) for key, text in options.items()))
    )


def _settings(name: str, options: Mapping[str, Scalar]) -> _Settings:
    """Return the options that say how members are combined.

    Raises:
        SpecError: one is wrong, or has no meaning beside the others.
    """
    from bench.adapters.ensemble import HOWS
    from bench.adapters.meta_learner import FOREST, unfitted

    how, leak, folds = options.get("how", HOWS[0]), options.get("leak", False), options.get("folds")
    if how not in HOWS:
        raise SpecError(f"{name}: how={how!r} is none of {', '.join(HOWS)}")
    if how != "stacking":
        idle = [key for key in _STACKING if key in options]
        if idle:
            raise SpecError(f"{name}: {', '.join(idle)} is of stacking; how is {how}")
        return _Settings(how=str(how))
    if not isinstance(leak, bool):
        raise SpecError(f"{name}: leak={leak!r} is neither true nor false")
    if folds is not None and (isinstance(folds, bool) or not isinstance(folds, int) or folds < 2):
        raise SpecError(f"{name}: folds={folds!r} is not a whole number from 2")
    if leak and folds is not None:
        raise SpecError(
            f"{name}: leak = true fits on training images, folds does not; leave one out"
        )
    meta = str(options.get("meta", FOREST))
    try:
        unfitted(meta)
    except SpecError as error:
        raise SpecError(f"{name}: {error}") from error
    return _Settings(how="stacking", fit=MetaFit(meta=meta, leak=leak, folds=folds or 0))


def surfaces_of(
    name: str, members: Mapping[ModelRequest, Adapter], options: Mapping[str, Scalar]
) -> tuple[str, ...]:
    """Return the names of an ensemble's surfaces, whose members may be outlines."""
    from bench.adapters.ensemble import EXACT, MEAN, is_exact
    from bench.adapters.meta_learner import is_linear, unfitted

    settings = _settings(name, options)
    offered = [member.surfaces() for member in members.values()]
    linear = settings.fit is not None and is_linear(unfitted(settings.fit.meta))
    if is_exact(settings.how, offered, linear):
        return (EXACT,)
    return (MEAN,) if any(offered) else ()


def combine(
    name: str,
    members: Mapping[ModelRequest, Adapter],
    options: Mapping[str, Scalar],
    root: Path | None,
    quickly: bool = False,
) -> Adapter | None:
    """Return an ensemble; its meta-learner is fitted, and its surface compared with it, at first use.

    Args:
        name: of the ensemble.
        members: its members, loaded.
        options: see `OPTIONS`.
        root: the data folder.
        quickly: whether to return None where images would have to be predicted for it.

    Raises:
        SpecError: a wrong option, or a data set without images to fit on.
        AdapterError: a member cannot be trained on a part of its images.
    """
    from bench.adapters.ensemble import wrap_ensemble
    from bench.train.stacking import fit_meta
    from bench.train.surface_agreement import surface_agreement

    settings, data = _settings(name, options), ModelName.read(name).data
    learner = None
    if settings.fit is not None:
        learner = fit_meta(name, members, settings.fit, root, quickly)
        if learner is None:
            return None
    adapter = dataclasses.replace(
        wrap_ensemble(
            tuple(members.values()), settings.how, learner and learner.meta.estimator,
            name=name, data=data,
        ),
        titles=tuple(request.title() for request in members),
        attackable=learner and learner.attackable,
    )  # fmt: skip
    agreement = surface_agreement(adapter, root, quickly)
    if agreement is None:
        return None
    return dataclasses.replace(adapter, notes={**(learner.notes if learner else {}), **agreement})
