"""The table of model families: how models of each are built, trained, saved and loaded.

Nothing here imports torch until a network is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.registry import unknown
from bench.spec import (
    EXPECTED_SURFACE,
    NOISELESS_SURFACE,
    ONE_DRAW_SURFACE,
    Adapter,
    ModelRequest,
    Scalar,
)
from bench.train import ensembles, networks, smoothing
from bench.train.cards import Weights
from bench.train.epochs import Snapshots, Watch
from bench.train.features import family as features
from bench.train.features.names import features_recipe, needs
from bench.train.local_learning import family as local_learning
from bench.train.local_learning.names import local_options, local_recipe
from bench.train.metric_learning import family as metric_learning
from bench.train.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from bench.data.labelled import LabelledImages


def _own_weights(name: str, options: Mapping[str, Scalar]) -> str:
    return name


def _of_a_network(recipe: Recipe) -> tuple[str, ...]:
    return ("network",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of models, which are built and trained in the same way. Defaults are those of networks.

    Attributes:
        name: its name in recipes and result rows.
        abstaining_is_wrong: whether an abstention (-1), such as a tied vote, is a wrong answer and so a
            success of an attack. Not so if abstaining belongs to the family's guarantee.
        options: names of the options that models with a recipe take when they are loaded.
        certifies: whether its models certify decisions, as `bench.spec.Certifier`.
        recipes: recipes by model name, for a family added by `bench.register_family`; those of Crossfire's
            own families are in `bench.train.recipes`.
        made_of_others: names of listed models that use the weights of other models, see `weights_of`, or
            that are made of several, see `members_of`.
        recipe_named: returns the recipe of a model that is not listed but whose name describes its
            training; None for other names.
        options_named: returns the options that such a name contains.
        weights_of: from the name and options of a model to the name of the model whose weights it uses,
            itself by default.
        build: from a recipe to the untrained network, without normalisation, on the CPU.
        fit: trains that network in place on the training images of its data set and reports each epoch.
        snapshots: what to keep of the network during training, given the test split.
        read_snapshots: from the file of snapshots to the plain JSON values in a run's log.
        needs: from a recipe to the names of the models that have to be trained before, as the trunk of
            features.
        card_facts: facts of a trained network for its card, plain JSON values by name; `parameters` in place
            of the number of the network's own. By default what a training started from.
        exact: name endings of the weights that are saved in the precision they have instead of half; an
            empty one means all.
        assemble: from the name of a model, the weights of `weights_of` and its options to the model.
        sketch: as `assemble`, but quickly, for planning: a model with the same fingerprint and speed, whose
            answers may be wrong; None if even that takes minutes. Not given if `assemble` is quick.
        surfaces: from a recipe to the names of the model's surfaces; for a model that uses the weights of
            another, the recipe is that of the other.
        members_of: from the name and options of a model to the models it is made of, which are loaded once
            for all cells. None for a family whose models are not made of several; else they have no
            recipe, and of the functions here only the next two count.
        combine: from the name of a model, its loaded members by request, its options and the data folder
            to the model; None, if `quickly=True` is given too, where that would take longer than a plan may.
        surfaces_of: from the name of a model, its members, which may be outlines, and its options to the
            names of its surfaces.
    """

    name: str
    abstaining_is_wrong: bool = False
    options: tuple[str, ...] = ()
    certifies: bool = False
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    made_of_others: tuple[str, ...] = ()
    recipe_named: Callable[[str], Recipe | None] = lambda name: None
    options_named: Callable[[str], dict[str, Scalar] | None] = lambda name: None
    weights_of: Callable[[str, Mapping[str, Scalar]], str] = _own_weights
    build: Callable[[Recipe], nn.Module] = networks.build
    fit: Callable[[Recipe, nn.Module, LabelledImages, Watch], None] = networks.fit
    snapshots: Callable[[Recipe, LabelledImages], Snapshots] | None = None
    read_snapshots: Callable[[bytes], dict[str, Any]] = lambda payload: {}
    needs: Callable[[Recipe], tuple[str, ...]] = lambda recipe: ()
    card_facts: Callable[[Recipe, nn.Module], dict[str, Any]] = networks.card_facts
    exact: tuple[str, ...] = ()
    assemble: Callable[[str, Weights, Mapping[str, Scalar]], Adapter] = networks.assemble
    sketch: Callable[[str, Weights, Mapping[str, Scalar]], Adapter | None] | None = None
    surfaces: Callable[[Recipe], tuple[str, ...]] = _of_a_network
    members_of: Callable[[str, Mapping[str, Scalar]], tuple[ModelRequest, ...]] | None = None
    combine: Callable[..., Adapter | None] = lambda name, members, options, root, quickly: None
    surfaces_of: Callable[
        [str, Mapping[ModelRequest, Adapter], Mapping[str, Scalar]], tuple[str, ...]
    ] = lambda name, members, options: ()


FAMILIES: dict[str, Family] = {
    entry.name: entry
    for entry in (
        Family(name="network"),
        Family(
            name="neighbours",
            abstaining_is_wrong=True,
            options=("k", "distance"),
            build=networks.build_embedding,
            snapshots=metric_learning.snapshots,
            read_snapshots=metric_learning.read_snapshots,
            assemble=metric_learning.assemble,
            sketch=metric_learning.sketch,
            surfaces=metric_learning.surfaces,
        ),
        Family(
            name="local-learning",
            recipe_named=local_recipe,
            options_named=local_options,
            build=local_learning.build,
            fit=local_learning.fit,
            snapshots=local_learning.snapshots,
            read_snapshots=local_learning.read_snapshots,
            card_facts=local_learning.card_facts,
            exact=("filters",),
            assemble=local_learning.assemble,
        ),
        Family(
            name="smoothed",
            options=tuple(smoothing.SMOOTHING),
            certifies=True,
            made_of_others=smoothing.SMOOTHED,
            weights_of=smoothing.base_name,
            assemble=smoothing.assemble,
            surfaces=lambda recipe: (EXPECTED_SURFACE, ONE_DRAW_SURFACE, NOISELESS_SURFACE),
        ),
        Family(
            name="features",
            abstaining_is_wrong=True,
            options=("k",),
            recipe_named=features_recipe,
            needs=needs,
            build=features.build,
            fit=features.fit,
            card_facts=features.card_facts,
            exact=("",),
            assemble=features.assemble,
            surfaces=features.surfaces,
        ),
        Family(
            name="ensemble",
            abstaining_is_wrong=True,
            options=ensembles.OPTIONS,
            made_of_others=ensembles.ENSEMBLES,
            members_of=ensembles.members_of,
            combine=ensembles.combine,
            surfaces_of=ensembles.surfaces_of,
        ),
    )
}


def family_named(name: str) -> Family:
    """Return a family by its name.

    Raises:
        SpecError: no such family.
    """
    if name not in FAMILIES:
        raise unknown("family", name, list(FAMILIES))
    return FAMILIES[name]


def abstaining_is_wrong(name: str) -> bool:
    """Return whether abstaining is a wrong answer in a family; False for an unknown family."""
    return name in FAMILIES and FAMILIES[name].abstaining_is_wrong
