"""The names of feature models, `DATA/features-TRUNK-TOP`, and the recipes that they describe.

Imports no torch.
"""

from __future__ import annotations

from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.registry import unknown
from bench.spec import ModelName, Scalar, configuration
from bench.train.recipe import Recipe

_MARK = "features-"

#: The classifiers, and the surfaces that each has.
TOPS = {
    "naive-bayes": ("exact",),
    "knn": ("soft-knn",),
    "linear-svm": ("exact",),
    "rbf-svm": ("exact",),
    "logistic": ("exact",),
    "forest": ("distilled",),
}

#: The classifiers that compare distances, whose features are scaled to unit length. Others are standardised:
#: there, in tens of thousands of dimensions, the same few images are the nearest of every other one.
UNIT_LENGTH = ("knn", "rbf-svm")

#: The trunks whose weights others have published, by what they are called in a name.
PUBLISHED_TRUNKS = {
    trunk: f"imagenet/{trunk}"
    for trunk in (
        "efficientnet-lite0", "vgg16", "inceptionv3", "mobilenetv1", "mobilenetv2", "mobilenetv3",
        "xception",
    )
}  # fmt: skip

#: A classifier is fitted on at most this many training images, the first; of more an SVM takes minutes.
_IMAGES = 2000


def features_name(data: str, trunk: str, top: str) -> str:
    """Return the name of a model."""
    return f"{data}/{_MARK}{trunk}-{top}"


def features_recipe(name: str) -> Recipe | None:
    """Return the recipe of a feature model; None if the name is not of that form.

    Raises:
        SpecError: the name has that form, but there is no such trunk.
    """
    data, model = ModelName.read(name)
    another_seed = configuration(name) != name  # has a name of the same form as that of any model
    if data not in DATASETS or not model.startswith(_MARK) or another_seed:
        return None
    for top in TOPS:
        trunk = model.removeprefix(_MARK).removesuffix(f"-{top}")
        if model == f"{_MARK}{trunk}-{top}":
            return _recipe(data, _trunk(data, trunk), top)
    raise SpecError(f"{name}: no such classifier; write {features_name(data, 'TRUNK', 'TOP')} with "
                    f"one of {', '.join(TOPS)}")  # fmt: skip


def _trunk(data: str, called: str) -> str:
    """Return the full name of a trunk: of the same data set, of another one, or published."""
    own = {"cnn": f"{data}/cnn", **{f"{other}-cnn": f"{other}/cnn" for other in DATASETS}}
    known = {**own, **PUBLISHED_TRUNKS}
    if called not in known:
        raise unknown("trunk", called, list(known))
    return known[called]


def _recipe(data: str, trunk: str, top: str) -> Recipe:
    images = min(_IMAGES, DATASETS[data].splits.get("train", 0))
    scaling = (("scaling", "unit-length"),) if top in UNIT_LENGTH else ()
    return Recipe(
        family="features", network="bench.train.features.head:untrained", data=data,
        options=(("trunk", trunk), ("top", top), ("images", images), *scaling),
        optimiser="none", learning_rate=0.0, weight_decay=0.0, momentum=0.0, epochs=1, shipped=False,
    )  # fmt: skip


def chosen(recipe: Recipe, option: str) -> Scalar:
    """Return an option of a recipe: `trunk`, `top`, or `images` to fit on."""
    return dict(recipe.options)[option]


def needs(recipe: Recipe) -> tuple[str, ...]:
    """Return the name of the trunk if it is one of Crossfire's own networks, which is trained before."""
    trunk = str(chosen(recipe, "trunk"))
    return () if trunk in PUBLISHED_TRUNKS.values() else (trunk,)
