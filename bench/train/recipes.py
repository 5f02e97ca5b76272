"""The recipes of all models that Crossfire trains; a family that a plug-in registers adds its own."""

from __future__ import annotations

import dataclasses
import itertools

from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.registry import unknown
from bench.spec import Norm, configuration
from bench.train.families import FAMILIES
from bench.train.features.names import TOPS, features_name, features_recipe
from bench.train.local_learning.names import local_recipe
from bench.train.pretrained import PRETRAINED
from bench.train.recipe import CROSS_ENTROPY, Adversary, Poison, Recipe
from bench.train.smoothing import SIGMAS, noisy_name
from bench.train.tuned import tuned_recipes

RECIPES: dict[str, Recipe] = {
    "digits/cnn": Recipe(
        network="bench.models.convnets:digits_cnn", data="digits", mean=(0.3053,), std=(0.3766,),
        optimiser="sgd", learning_rate=0.1, epochs=20, batch_size=64, shipped=False,
    ),
    "digits/mlp": Recipe(
        network="bench.models.convnets:digits_mlp", data="digits", mean=(0.3053,), std=(0.3766,),
        optimiser="sgd", learning_rate=0.1, epochs=20, batch_size=64, shipped=False,
    ),
    "mnist/cnn": Recipe(
        network="bench.models.convnets:six_convs", data="mnist", mean=(0.1307,), std=(0.3081,),
        optimiser="sgd", learning_rate=0.05, epochs=3,
    ),
    "fashion-mnist/cnn": Recipe(
        network="bench.models.convnets:six_convs", data="fashion-mnist", mean=(0.2860,),
        std=(0.3530,), optimiser="sgd", learning_rate=0.05, epochs=5, flip=True,
    ),
    "cifar10/cnn": Recipe(
        network="bench.models.convnets:three_blocks", data="cifar10",
        mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616), optimiser="sgd",
        learning_rate=0.1, epochs=8, flip=True, crop=2,
    ),
}  # fmt: skip

#: The peak learning rate of the one-cycle schedule, by optimiser.
_PEAKS = {"sgd": 0.05, "adam": 0.002}


def _compared(
    like: str, network: str, epochs: int, longer: dict[str, int] | None = None
) -> dict[str, Recipe]:
    """Return recipes for deep learning (dl) and deep metric learning (dml) on one trunk.

    Args:
        like: the model whose data and augmentation they share.
        network: the function that builds the trunk with its head.
        epochs: of each training.
        longer: by loss and optimiser, the epochs of trainings that converge more slowly.
    """
    plain = RECIPES[like]
    recipes = {}
    for loss, optimiser in itertools.product((CROSS_ENTROPY, "contrastive", "triplet"), _PEAKS):
        metric = loss != CROSS_ENTROPY
        recipes[f"{plain.data}/{'dml' if metric else 'dl'}-{loss}-{optimiser}"] = (
            dataclasses.replace(
                plain,
                family="neighbours" if metric else "network",
                network=f"bench.models.convnets:{network}",
                loss=loss,
                miner="multi-similarity" if metric else "",
                embedding=64 if metric else 0,
                optimiser=optimiser,
                learning_rate=_PEAKS[optimiser],
                weight_decay=4e-4,
                epochs=(longer or {}).get(f"{loss}-{optimiser}", epochs),
            )
        )
    return recipes


RECIPES |= _compared("digits/cnn", "digits_cnn", 20)
RECIPES |= _compared("mnist/cnn", "slim_six_convs", 4)
RECIPES |= _compared(
    "fashion-mnist/cnn", "slim_six_convs", 4,
    {"contrastive-sgd": 8, "triplet-sgd": 8, "contrastive-adam": 8},
)  # fmt: skip
RECIPES |= _compared(
    "cifar10/cnn", "slim_three_blocks", 8,
    {"contrastive-sgd": 20, "triplet-sgd": 20, "contrastive-adam": 12},
)  # fmt: skip


def _defended(plain: Recipe, l2: Adversary, linf: Adversary, epochs: int) -> dict[str, Recipe]:
    """Return the recipes of the defences study: one network, trained plainly, with noise and under attack.

    In mixed training the two adversaries take turns and a third of the loss is on clean images, so all
    three have equal weight.

    Args:
        plain: recipe of the network without a defence.
        l2: the adversary of the l2 training.
        linf: the adversary of the linf training.
        epochs: of a training under attack, whose epochs cost several times as much as others.
    """

    def under(*adversaries: Adversary, alpha: float = 0.5) -> Recipe:
        return dataclasses.replace(plain, adversaries=adversaries, alpha=alpha, epochs=epochs)

    return {
        f"{plain.data}/basic": plain,
        **{
            noisy_name(plain.data, sigma): dataclasses.replace(plain, noise=sigma)
            for sigma in SIGMAS
        },
        f"{plain.data}/pgd-l2-at": under(l2),
        f"{plain.data}/pgd-linf-at": under(linf),
        f"{plain.data}/mixed-at": under(l2, linf, alpha=1 / 3),
    }


def _pgd(norm: Norm, eps: str, step_size: str, steps: int) -> Adversary:
    return Adversary(name="pgd", norm=norm, eps=eps, steps=steps, step_size=step_size)


RECIPES |= _defended(
    RECIPES["digits/cnn"],
    _pgd("l2", "0.5", "0.125", steps=7),
    _pgd("linf", "0.1", "0.025", steps=7),
    epochs=10,
)
# linf 0.03 is the study's radius. Its l2 radius of 0.045 is next to nothing for images in [0, 1], so that
# is 0.5 here.
RECIPES |= _defended(
    dataclasses.replace(
        RECIPES["cifar10/cnn"], network="bench.models.convnets:strided_stages", learning_rate=0.05
    ),
    _pgd("l2", "0.5", "0.125", steps=10),
    _pgd("linf", "0.03", "0.0075", steps=10),
    epochs=5,
)
# Madry et al. have alpha 0; with it the loss stayed at that of guessing (2.30) for three epochs.
RECIPES["mnist/pgd-linf-at"] = Recipe(
    network="bench.models.convnets:two_strided_convs", data="mnist", optimiser="adam",
    learning_rate=0.003, weight_decay=0.0, epochs=10,
    adversaries=(_pgd("linf", "0.3", "0.075", steps=10),), alpha=0.3,
)  # fmt: skip


#: Epochs and precision of the networks of the fooling study whose weights are shipped. Of the full-width
#: ones that is only MobileNetV2, since weights of the others would be 25 to 47 MB each.
_FOOLING: dict[str, tuple[int, str]] = {
    "resnet50-slim": (100, "float32"),
    "densenet169-slim": (40, "bfloat16"),
    "mobilenetv2-slim": (99, "bfloat16"),
    "inceptionv3-slim": (47, "float32"),
    "mobilenetv2": (43, "float32"),
}


def _fooled(kind: str) -> dict[str, Recipe]:
    """Return the recipes of one network of the fooling study, as published and slim."""
    recipes = {}
    for name, network in ((kind, kind), (f"{kind}-slim", f"slim_{kind}")):
        epochs, precision = _FOOLING.get(name, _FOOLING[f"{kind}-slim"])
        recipes[f"cifar10/{name}"] = dataclasses.replace(
            RECIPES["cifar10/cnn"],
            network=f"bench.models.cifar_cnns:{network}",
            learning_rate=0.2,
            epochs=epochs,
            batch_size=500,
            crop=4,
            precision=precision,
            shipped=name in _FOOLING,
            first_use=False,  # without a GPU one takes hours, or days
        )
    return recipes


for _kind in ("resnet50", "densenet169", "mobilenetv2", "inceptionv3"):
    RECIPES |= _fooled(_kind)


#: Those of the networks for flowers whose slim forms have weights, by the augmentation of their training.
_FLOWERS_SHIPPED: dict[str, tuple[str, ...]] = {
    "": ("baseline", "mk-1", "mk-2", "mk-3"),
    "zoom": ("mk-2", "mk-3"),
    "flips": ("mk-2", "mk-3"),
    "all": ("mk-2", "mk-3", "mk-4", "mk-5", "mk-6"),
}

#: Those whose slim forms are trained in bfloat16, since they take the longest.
_FLOWERS_BFLOAT16 = ("mk-3", "mk-5")


def _flowers(network: str, augmentation: str) -> dict[str, Recipe]:
    """Return the recipes of one of the networks for flowers, as published and slim.

    The document has SGD with a rate of 0.01 (Keras' has no momentum), 50 epochs or 150 with augmentation,
    and keeps the epoch of least loss. It does not say how many images a batch has; Keras takes 32. The slim
    form learns next to nothing in so few epochs without momentum, so it has some.
    """
    data = DATASETS["flowers17"]
    name = f"flowers17/{network}" + (f"-aug-{augmentation}" if augmentation else "")
    full = Recipe(
        network="bench.models.flower_cnns:flower_cnn", options=(("name", network),),
        data=data.name, mean=data.means, std=(0.2779, 0.2518, 0.2583),
        optimiser="sgd", learning_rate=0.01, schedule="constant", momentum=0.0, weight_decay=0.0,
        epochs=150 if augmentation else 50, batch_size=32,
        augmentation=augmentation, select="validation", shipped=False, first_use=False,
    )  # fmt: skip
    slim = dataclasses.replace(
        full,
        options=(("name", network), ("slim", True)),
        momentum=0.9,
        precision="bfloat16" if network in _FLOWERS_BFLOAT16 else "float32",
        shipped=network in _FLOWERS_SHIPPED[augmentation],
    )
    return {name: full, f"{name}-slim": slim}


for _network in ("baseline", *(f"mk-{_number}" for _number in range(1, 7))):
    RECIPES |= _flowers(_network, "")
for _network in ("mk-2", "mk-3"):
    RECIPES |= _flowers(_network, "zoom") | _flowers(_network, "flips")
for _network in ("mk-2", "mk-3", "mk-4", "mk-5", "mk-6"):
    RECIPES |= _flowers(_network, "all")


RECIPES |= tuned_recipes(RECIPES["flowers17/mk-2"])

#: Models of the local-learning study that are listed; other names of this form are models too.
_LOCAL_DIGITS = (
    "digits/ll-K5-w4-m3-p2-n4-pool3-gelu",
    "digits/bp-K5-w4-n4-pool3-gelu",
)
_LOCAL_PAIR = "cifar10/ll-K10-w4-m3-p2-n4-pool5-gelu", "cifar10/bp-K10-w4-n4-pool5-gelu"
_LOCAL_CIFAR10 = (
    *_LOCAL_PAIR,
    *(f"{name}-seed{seed}" for name in _LOCAL_PAIR for seed in range(1, 5)),
    "cifar10/ll-K10-w4-m3-p4-n12-pool9-gelu",
    "cifar10/bp-K10-w4-n12-pool9-gelu",
    "cifar10/ll-K10-w12-m3-p2-n4-pool9-gelu",
    "cifar10/bp-K10-w12-n4-pool9-gelu",
    "cifar10/ll-K20-w4-m5-p4-n16-pool9-elu",
    "cifar10/bp-K20-w4-n1-pool9-elu",
)


def _local(name: str, shipped: bool) -> Recipe:
    rules = local_recipe(name)
    assert rules is not None, name
    return dataclasses.replace(rules, shipped=shipped)


#: What poisoned training images do: a fifth of the labels flipped, and a back door to class 0.
RECIPES |= {
    f"digits/cnn-{name}": dataclasses.replace(RECIPES["digits/cnn"], poison=poison)
    for name, poison in {
        "flipped": Poison(share=0.2),
        "backdoor": Poison(share=0.05, target=0),
    }.items()
}


RECIPES |= {name: _local(name, shipped=False) for name in _LOCAL_DIGITS}
RECIPES |= {name: _local(name, shipped=True) for name in _LOCAL_CIFAR10}


#: Models on features that are listed; other trunks have names of this form too.
for _data, _top in itertools.product(("digits", "cifar10"), TOPS):
    _name = features_name(_data, "cnn", _top)
    _rules = features_recipe(_name)
    assert _rules is not None, _name
    RECIPES[_name] = _rules


def recipe(name: str) -> Recipe:
    """Return the recipe of a model.

    Raises:
        SpecError: no model of that name has a recipe.
    """
    rules = RECIPES.get(name) or recipe_named(name)
    if rules is not None:
        return rules
    for family in FAMILIES.values():
        if name in family.made_of_others and family.members_of is not None:
            raise SpecError(f"{name} is made of other models; train those")
        if name in family.made_of_others:
            own = family.weights_of(name, {})
            raise SpecError(f"{name} has the weights of {own}; train that")
    if name in PRETRAINED:
        raise SpecError(f"{name} has weights that others published; it is not trained here")
    raise unknown("recipe", name, list(RECIPES))


def recipe_named(name: str) -> Recipe | None:
    """Return the recipe of a model whose name describes its training; None for any other name.

    `NAME-seedN` is a training of NAME with another seed; it has no weights until it is asked for.

    Raises:
        SpecError: the name has the right form, but describes something impossible.
    """
    candidates = (family.recipe_named(name) for family in FAMILIES.values())
    return next((rules for rules in candidates if rules is not None), _repeated(name))


def _repeated(name: str) -> Recipe | None:
    base = configuration(name)
    rules = RECIPES.get(base)
    if rules is None or base == name or configuration(base) != base:
        return None
    return dataclasses.replace(
        rules,
        seed=int(name.removeprefix(f"{base}-seed")),
        shipped=False,
        first_use=rules.first_use and not rules.shipped,  # shipped ones may take long to train
    )
