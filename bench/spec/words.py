"""The words that models, attacks and suites are told with: norms, toolkits, goals, surfaces."""

from __future__ import annotations

from typing import Literal, get_args

Norm = Literal["l0", "l1", "l2", "linf"]
#: What runs an attack: a library, Crossfire itself (`native`), or the function of a user (`plugin`).
Toolkit = Literal["art", "foolbox", "torchattacks", "adv-lib", "native", "plugin"]
Loss = Literal["ce", "margin", "dlr"]
Goal = Literal["misclassification", "targeted", "source-target", "confidence-reduction"]
#: What is read off adversarial radii: R of the fitted logistic, or what presumes no shape.
Figure = Literal["logistic", "median", "mode"]
Expected = Literal[
    "left > right", "left < right", "left = right", "left > bound", "left < bound", "same order",
    "opposite order",
]  # fmt: skip
Scalar = bool | int | float | str
Count = int | Literal["all"]

NORMS: tuple[Norm, ...] = get_args(Norm)
PLUGIN: Toolkit = "plugin"
EVERY_TOOLKIT: tuple[Toolkit, ...] = get_args(Toolkit)
#: Those that Crossfire comes with.
TOOLKITS: tuple[Toolkit, ...] = tuple(kit for kit in EVERY_TOOLKIT if kit != PLUGIN)
GOALS: tuple[Goal, ...] = get_args(Goal)

#: The surface of a random model on which a gradient is that of a single draw, and the one on which it
#: is that of the expectation: what withstands the first alone may only hide its gradient.
ONE_DRAW_SURFACE, EXPECTED_SURFACE = "one-draw", "expected"

#: The surface of a random model that is the network without its noise.
NOISELESS_SURFACE = "base"

#: The surface named in rows of black-box attacks, which see the model's answers and no gradient.
BLACK_BOX_SURFACE = "predict"

#: The surface named in rows of attacks that see the whole model: its surfaces, what is inside, its answers.
WHOLE_MODEL_SURFACE = "whole model"

#: The surface named in rows of images that others made (`external`): nothing of the model is climbed.
HANDED_IN_SURFACE = "handed in"

#: What stands in the column `toolkit` of such images, which nothing here made.
HANDED_IN_TOOLKIT = "handed in"

#: Surfaces that go without saying: the network itself, its answers, the whole of it, and
#: nothing of it.
PLAIN_SURFACES = frozenset({"network", BLACK_BOX_SURFACE, WHOLE_MODEL_SURFACE, HANDED_IN_SURFACE})

#: The word `fitted_on` of a perturbation that is fitted on the model it is tested on.
ITSELF = "itself"
