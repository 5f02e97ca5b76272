"""Descriptions of attacks for people: what the parameters mean, and what each toolkit refuses.

Nothing here imports torch or a toolkit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.attacks.catalogue import record, row_of
from bench.attacks.row import QUARTER_OF_EPS, Attack, Parameter
from bench.spec import TOOLKITS, Scalar

#: The meaning of a parameter; `ATTACK PARAMETER` where it means something else for one attack.
MEANINGS: Mapping[str, str] = {
    "adaptive": "whether the region grows and shrinks by how well the model is taken for linear in it",
    "adaptive passes": "forward and backward passes for each image, at most",
    "alpha": "probability that a certified radius is wrong",
    "alpha_max": "largest weight of the clean image in a step",
    "apgd_t": "whether apgd-t, which needs four classes, is one of the attacks",
    "alma decay": "weight of the past in the running means of the gradient and of its square",
    "autoattack steps": "steps of apgd-ce, apgd-t and fab-t",
    "autoattack queries": "queries of square",
    "batch": "images that are attacked together during the fit; 1 as published",
    "beta": "weight of the l1 norm in the distance that is minimised",
    "box": "how far a pixel may move; 1 for all of [0, 1]",
    "brendel-bethge step_size": "radius of the trust region, as a share of the number of values",
    "c": "weight of the margin against the distance; where a search follows, its start",
    "candidates": "classes whose boundaries are considered, the likeliest first",
    "certify n": "noisy copies that bound the share of the class; where radii are named, at most",
    "certify radii": "l2 radii at which the share certified is wanted: an image takes no more copies than "
    "decide these; none: n0 + n copies of each image, and its largest radius",
    "clip": "when the image is clipped to [0, 1]: after each of the steps, or once at the end (overshoot 0.01)",
    "confidence": "margin by which the wrong class must lead, in logits",
    "cw-linf c": "weight of the margin at the start; it doubles until the label changes",
    "cw-linf step_size": "learning rate of Adam",
    "cw-linf steps": "gradient steps for each bound and c, at most",
    "cw step_size": "learning rate of Adam",
    "decay": "weight of the gradients of earlier steps",
    "delta": "share of the images to fit on that may stay unfooled",
    "ead step_size": "first length of a step of the descent",
    "ead-en step_size": "first length of a step of the descent",
    "eot": "gradients averaged in each step, for models that answer at random",
    "eta": "how far a step goes beyond the linearised boundary; 1 ends on it",
    "fab beta": "share of the way from the clean image that is kept after a success",
    "fab-t beta": "share of the way from the clean image that is kept after a success",
    "fab_t": "whether fab-t is one of the attacks",
    "file": "the file of the images",
    "first_step": "length of the first step, in the norm of the attack",
    "fit": "split and number of images that the perturbation is fitted on",
    "fitted_on": "the model whose perturbation is applied; `itself` for the model attacked",
    "fmn step_size": "length of the first step; it decays to a hundredth",
    "gamma": "share by which the radius shrinks or grows in a step",
    "generations": "largest number of generations of the differential evolution",
    "gradient_queries": "queries of the first estimate of a gradient",
    "ifgsm-radius step_size": "length of a step, in linf",
    "init_eps": "radius of the first sphere, in l2",
    "inner": "norm of the steps of DeepFool: l2, or that of the ball",
    "jsma gamma": "largest share of the values that may change",
    "keep": "which perturbation is returned: of the last pass, or the best, of the pass that fools most images",
    "l-bfgs c": "weight of the distance against the cross-entropy at the start of the search",
    "lambda": "how far beyond the linearised boundary the linear solver aims",
    "least_confidence": "images that the model is less sure of are not measured",
    "loss": "what the step increases: ce the cross-entropy, logit minus the logit of the true class",
    "max_eps": "largest radius that is searched",
    "max_rotation": "largest rotation, in degrees",
    "max_translation": "largest shift, in pixels",
    "members": "attacks in order, each with its parameters and, where it is not ours, its toolkit",
    "n0": "noisy copies that choose the class; where radii are named, at most",
    "overshoot": "how far beyond the boundary a step goes, as a share of its length",
    "p_init": "share of the pixels in the first square",
    "passes": "largest number of passes over the images to fit on",
    "pdgd step_size": "learning rate of Adam; it decays to a hundredth",
    "pdpgd step_size": "learning rate of Adam; it decays to a hundredth",
    "population": "candidates of the differential evolution, for each image",
    "project": "radius of the ball that the steps stay in; 1 for the whole box",
    "queries": "queries per image",
    "random_start": "whether the first image is drawn at random from the ball",
    "region": "length of the longest step at first, in the norm of the attack",
    "restarts": "how often the attack is run, each time from a new draw; an image once fooled is kept",
    "rotations": "rotations on the grid",
    "rounds": "largest number of rounds of DeepFool",
    "samples": "random changes of a value that are tried in each direction",
    "salt-and-pepper steps": "largest number of draws",
    "scan": "equal steps up to max_eps that are tried before the bisection",
    "search_steps": "steps of the search over c",
    "shrink": "share of the linf norm reached that becomes the next bound",
    "sigma": "how sharp the stand-in for l0 is: a change of the root of sigma counts as half a value",
    "sigma-zero step_size": "learning rate of Adam; it decays to a tenth",
    "source_step": "first length of a step towards the image, relative to the distance",
    "spherical_step": "first length of a step along the sphere, relative to the distance",
    "square queries": "queries per image in each restart",
    "step_size": "length of a step, in the norm of the attack",
    "steps": "gradient steps",
    "stop": "what ends the search: `class`, that the best candidate has another class, or the wanted one; a "
    "number, that the probability of the label is below it, or that of the wanted class above it",
    "superdeepfool search_steps": "steps of the bisection at the end",
    "superdeepfool steps": "gradient steps of DeepFool in each round, at most",
    "targeted": "the class to reach: none for any other, next, least-likely, random, or a class",
    "targets": "classes that are targeted in turn, the likeliest first",
    "theta": "amount added to a value",
    "threshold": "smallest change that is kept, at first",
    "threshold_step": "by how much the threshold grows or shrinks in a step, as a share of the learning rate",
    "translations": "shifts on the grid, along each side",
    "weight": "weight of the distance against that of the margin, at first",
    "weight_step": "learning rate of the weight; it decays to a tenth",
    "vfga steps": "values that are changed, at most",
    "universal clip": "whether images are clipped to [0, 1] during the fit",
    "universal steps": "steps of DeepFool on one image; its result is not used if it needs them all",
    "worst-case-fast queries": "queries of square, where it is made",
    "worst-case-fast restarts": "random starts of apgd-ce and of apgd-dlr, each on the images left",
    "worst-case-fast steps": "steps of apgd-ce, apgd-dlr and apgd-t",
    "worst-case-fast targets": "classes that apgd-t is made towards; 0 leaves out apgd-dlr and apgd-t",
}

_EPS = "radius in units of [0, 1], such as 0.03 or 8/255"
_PIXELS = "number of pixels that may change"


def described(name: str) -> dict[str, Any]:
    """Return all facts of one attack, for a screen and for `--json`.

    Those of `record`, and `parameters`: a dictionary each with `name, meaning, values, default` (None
    if it must be given), and `refused`: by toolkit, the only value that it takes and why.

    Raises:
        SpecError: no such attack.
    """
    attack = row_of(name)
    return {**record(attack), "parameters": _parameters(attack)}


def meaning(attack: str, parameter: str) -> str:
    """Return what a parameter of an attack means.

    Raises:
        KeyError: the parameter has no description.
    """
    own = f"{attack} {parameter}"
    return MEANINGS[own if own in MEANINGS else parameter]


def _parameters(attack: Attack) -> list[dict[str, Any]]:
    parameters = []
    if not attack.minimal:
        pixels, norms = set(attack.norms) == {"l0"}, "above 0; linf: at most 1"
        values = "a whole number from 1" if pixels else norms
        if not pixels and "l0" in attack.norms:
            values += "; l0: a whole number of pixels"
        parameters.append(_parameter("eps", _PIXELS if pixels else _EPS, values, None, {}))
    for name, rule in attack.parameters.items():
        refused: dict[str, str] = {
            kit: f"{f'in {entry.norm} ' if entry.norm else ''}only {_text(entry.only)}: {kit} {entry.reason}"
            for kit in TOOLKITS
            for entry in attack.refusals
            if entry.toolkit == kit and entry.parameter == name
        }
        default: Scalar | None = "eps / 4" if rule.default == QUARTER_OF_EPS else rule.default
        default = None if rule.kind == "file" else default
        meant = rule.meaning or meaning(attack.name, name)
        parameters.append(_parameter(name, meant, _values(rule), default, refused))
    return parameters


def _parameter(
    name: str, meant: str, values: str, default: Scalar | None, refused: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "name": name, "meaning": meant, "values": values, "default": default,
        "refused": dict(refused),
    }  # fmt: skip


def _values(rule: Parameter) -> str:
    """Return the allowed values of a parameter in words."""
    if rule.kind == "count":
        return "a whole number" if rule.least is None else f"a whole number from {rule.least:g}"
    if rule.kind == "amount":
        if rule.least == -math.inf:
            return "a number"
        low = "above 0" if rule.least is None else f"from {rule.least:g}"
        amount = low if rule.below is None else f"{low}, below {rule.below:g}"
        return " or ".join([*rule.choices, amount])
    if rule.kind == "choice":
        return ", ".join(rule.choices)
    return {
        "amounts": "none, or numbers above 0 in one text, such as '0.25 0.5'",
        "flag": "true, false",
        "target": "a rule or a class",
        "fit": "such as train 1000",
        "model": "a name",
        "file": ".pt, .npz, .npy, or a folder of PNG",
        "members": 'a list such as [{ name = "apgd-ce", steps = 20 }]',
    }[rule.kind]


def _text(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
