"""The families of models: how each is built, trained, kept and made into a model, as a table.

Nothing here imports torch until a network is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.registry import unknown
from bench.spec import EXPECTED_SURFACE, NOISELESS_SURFACE, ONE_DRAW_SURFACE, Adapter, Scalar
from bench.train import networks, smoothing
from bench.train.cards import Weights
from bench.train.epochs import Snapshots, Watch
from bench.train.local_learning import family as local_learning
from bench.train.local_learning.names import local_options, local_recipe
from bench.train.metric_learning import family as metric_learning
from bench.train.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from bench.data.datasets import LabelledImages


def _own_weights(name: str, options: Mapping[str, Scalar]) -> str:
    return name


def _of_a_network(recipe: Recipe) -> tuple[str, ...]:
    return ("network",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that are made alike. What is not given is as of plain networks.

    Attributes:
        name: what recipes and result rows call it.
        abstaining_is_wrong: whether an answer of no class (-1), such as a tied vote, is a wrong answer
            and so a success of an attack; where abstaining is the family's guarantee it is none.
        options: names of the options that models with a recipe take when they are loaded.
        certifies: whether its models guarantee decisions, as `bench.spec.Certifier`.
        recipes: by name, how the models are trained that `bench.register_family` lists; those of
            Crossfire's own families stand in `bench.train.recipes`.
        made_of_others: names of listed models that are not trained, see `weights_of`.
        recipe_named: the recipe of a model that is not listed, but whose name says how it is trained;
            None for a name that is no such.
        options_named: what such a name says, as options.
        weights_of: name and options of a model to the name of the one that is trained for it, whose
            weights it has; itself, unless it is made of another model.
        build: the untrained network of a recipe, without its normalisation, on the CPU.
        fit: trains that network in place, where it lies, on the training images of its data set; tells
            of each epoch.
        snapshots: what is kept of it meanwhile; the images are the test split's.
        read_snapshots: the file of those to what a run's log holds of them, plain JSON values.
        card_facts: what a card says of a trained network, plain JSON values by name.
        exact: endings of the names of weights that are written in single precision, not in half.
        assemble: the name of a model, the weights of `weights_of`, and its options to the model.
        sketch: likewise, to a model of the same fingerprint and speed whose answers may be worth
            nothing, to plan with, without minutes of work; None where it takes those. Not given of a
            family that is assembled at once.
        surfaces: the names of the surfaces of a model with a recipe; of a model made of another, that
            one's recipe.
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
    card_facts: Callable[[Recipe, nn.Module], dict[str, Any]] = lambda recipe, net: {}
    exact: tuple[str, ...] = ()
    assemble: Callable[[str, Weights, Mapping[str, Scalar]], Adapter] = networks.assemble
    sketch: Callable[[str, Weights, Mapping[str, Scalar]], Adapter | None] | None = None
    surfaces: Callable[[Recipe], tuple[str, ...]] = _of_a_network


FAMILIES: dict[str, Family] = {
    entry.name: entry
    for entry in (
        Family(name="network"),
        Family(
            name="neighbours",
            abstaining_is_wrong=True,
            options=("k", "distance"),
            build=metric_learning.build,
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
        # Of these there are models of users alone.
        Family(name="ensemble"),
        Family(name="features", abstaining_is_wrong=True),
    )
}


def family_named(name: str) -> Family:
    """Return a family.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in FAMILIES:
        raise unknown("family", name, list(FAMILIES))
    return FAMILIES[name]


def abstaining_is_wrong(name: str) -> bool:
    """Return whether no class is a wrong answer of a family; of one that is not known it is none."""
    return name in FAMILIES and FAMILIES[name].abstaining_is_wrong
