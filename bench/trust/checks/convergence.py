"""Whether more effort, or another kind of attack, finds what the attacks of a run did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from bench.attacks.catalogue import every_parameter, is_fitted
from bench.errors import UnsupportedAttack
from bench.spec import Scalar
from bench.trust.checked_threat import CheckedThreat, Tried
from bench.trust.checks.registry import Check, Finding
from bench.trust.lowered import attack_to_add, bound, lowered, not_applicable, not_attacked, written

#: How many images a check of many passes attacks, of a model that is asked many times for each answer, and
#: where each image takes hundreds of passes.
_IMAGES, _IMAGES_DRAWN, _IMAGES_LONG = 64, 8, 32


def some(threat: CheckedThreat) -> torch.Tensor:
    """Return the positions of the images that a check of many passes attacks."""
    return threat.survivors(_IMAGES_DRAWN if threat.drawn else _IMAGES)


def strongest(threat: CheckedThreat, word: str) -> Mapping[str, Any] | None:
    """Return the cell that broke the most images among those whose attack takes a parameter; None without one.

    Of the valid ones that follow a gradient of the model's own.

    Args:
        threat: the model and its cells.
        word: the parameter, such as `steps`.
    """
    cells = threat.cells
    if cells.empty:
        return None
    own = set(threat.judge.surfaces())
    cells = cells[(cells["flag"] == "") & cells["shows_robust"] & (cells["access"] == "white")]
    cells = cells[cells["surface"].isin(own) & cells["crafted_on"].isna()]
    fit = [
        not is_fitted(name) and word in every_parameter(name, words)
        for name, words in zip(cells["attack"], cells["parameters"], strict=True)
    ]
    cells = cells[pd.Series(fit, index=cells.index, dtype=bool)]
    if cells.empty:
        return None
    records: list[Any] = cells.to_dict("records")
    found: Mapping[str, Any] = max(records, key=lambda cell: int(cell["broken"]))
    return found


def again(threat: CheckedThreat, cell: Mapping[str, Any], draw: int = 0, **other: Scalar) -> Tried:
    """Return what the attack of a cell finds on images that withstood it, with other parameters."""
    words = dict(cell["parameters"]) | other
    return threat.attack(
        cell["attack"], some(threat), cell["toolkit"], cell["surface"], draw=draw, **words
    )


def more_found(threat: CheckedThreat, check: str, tried: Tried, who: str, remedy: str) -> Finding:
    """Return a finding on an attack that was made on images that the run's attacks left.

    Args:
        threat: the model and the run's images.
        check: its name, in `bounds.toml`.
        tried: what the attack found.
        who: the attack, as the subject of a sentence: it `breaks` images.
        remedy: what to do if it found too much.
    """
    drop = lowered(threat, tried.broken)
    status = drop.status(threat, check)
    sentence = f"{who} breaks {drop.words()}"
    if status != "pass":
        sentence += f": {drop.drop()}"
    return Finding(
        status=status,
        sentence=sentence,
        value=drop.share,
        bound=bound(threat, check),
        remedy="" if status == "pass" else remedy,
    )


def doubled_steps(threat: CheckedThreat) -> Finding:
    """Make the strongest attack of the run again with twice the steps on what withstood.

    Carlini et al., On evaluating adversarial robustness (2019), section 4.5.
    """
    if why := not_attacked(threat, some(threat)):
        return why
    cell = strongest(threat, "steps")
    if cell is not None:
        steps = 2 * int(cell["parameters"]["steps"])
        name = str(cell["attack"])
        return more_found(
            threat,
            "doubled-steps",
            again(threat, cell, steps=steps),
            f"{name} with {steps} steps, twice as many as in the run,",
            f"set steps = {steps} or more for {name} in the suite",
        )
    if threat.norm not in ("linf", "l2") or not threat.climbed:
        return not_applicable("no attack of the run follows a gradient in steps")
    steps = int(threat.model.bounds["doubled-steps.steps"])
    return more_found(
        threat,
        "doubled-steps",
        threat.attack("pgd", some(threat), surface=threat.climbed[0], steps=steps),
        f"no attack of the run takes steps along the gradient; pgd with {steps}",
        attack_to_add(threat, "pgd", steps=steps),
    )


DOUBLED_STEPS = Check(
    id="doubled-steps",
    title="twice the steps find nothing more",
    needs="threat",
    run=doubled_steps,
    level="full",
)


def black_box(threat: CheckedThreat) -> Finding:
    """Attack what withstood by the scores alone.

    Where this finds what attacks along the gradient missed, the gradient is masked (Carlini et al., 2019,
    section 4.6; AutoAttack warns if Square lowers the accuracy by more than 0.2 points).
    """
    at = some(threat)
    if why := not_attacked(threat, at):
        return why
    queries = int(threat.model.bounds["black-box.queries"])
    try:
        tried = threat.attack("square", at[:_IMAGES_LONG], queries=queries)
    except UnsupportedAttack as refused:
        return not_applicable(str(refused))
    return more_found(
        threat,
        "black-box",
        tried,
        f"Square, which goes by the scores alone ({queries} queries),",
        attack_to_add(threat, "square"),
    )


BLACK_BOX = Check(
    id="black-box",
    title="an attack by the scores alone finds nothing more",
    needs="threat",
    run=black_box,
    level="full",
    masks=True,
)


def more_starts(threat: CheckedThreat) -> Finding:
    """Make the strongest attack with random starts again from others, on what withstood.

    Carlini et al. (2019), section 4.5; Mosbach et al., Logit pairing methods can fool gradient-based
    attacks (2018), where a hundred starts undid what one seemed to show.
    """
    if why := not_attacked(threat, some(threat)):
        return why
    starts = int(threat.model.bounds["more-starts.starts"])
    cell = strongest(threat, "restarts")
    if cell is not None:
        starts = max(starts, int(cell["parameters"].get("restarts", 1)))
        words: dict[str, Scalar] = {"restarts": starts}
        if cell["parameters"].get("random_start") is False:
            words["random_start"] = True
        name, tried = str(cell["attack"]), again(threat, cell, draw=1, **words)
        remedy = f"set {written({**words, 'restarts': 2 * starts})} for {name} in the suite"
    elif threat.norm in ("linf", "l2") and threat.climbed:
        name, surface = "pgd", threat.climbed[0]
        tried = threat.attack("pgd", some(threat), surface=surface, draw=1, restarts=starts)
        remedy = attack_to_add(threat, "pgd", restarts=2 * starts)
    else:
        return not_applicable("no attack of the run follows a gradient from random starts")
    return more_found(
        threat,
        "more-starts",
        tried,
        f"{name} from {starts} more random starts",
        remedy,
    )


MORE_STARTS = Check(
    id="more-starts",
    title="other random starts find nothing more",
    needs="threat",
    run=more_starts,
    level="full",
)


def other_losses(threat: CheckedThreat) -> Finding:
    """Follow the gradients of two other losses on what withstood: of the cross-entropy and of the ratio.

    Where one finds much more than the other, the scale of the scores hides a gradient (Croce and Hein,
    2020, section 4; Carlini and Wagner, 2016, on defensive distillation).
    """
    at, surfaces = some(threat), threat.climbed
    if why := not_attacked(threat, at):
        return why
    if not surfaces:
        return not_applicable("the model has no gradient to follow")
    steps = int(threat.model.bounds["other-losses.steps"])
    found: dict[str, Tried] = {}
    for name in ("apgd-ce", "apgd-dlr"):
        try:
            found[name] = threat.attack(name, at, surface=surfaces[0], steps=steps)
        except UnsupportedAttack as refused:
            return not_applicable(str(refused))
    best = max(found, key=lambda name: int(found[name].broken.sum()))
    weaker = "apgd-dlr" if best == "apgd-ce" else "apgd-ce"
    return more_found(
        threat,
        "other-losses",
        found[best],
        f"{best} with {steps} steps ({weaker} breaks {int(found[weaker].broken.sum())})",
        attack_to_add(threat, best),
    )


OTHER_LOSSES = Check(
    id="other-losses",
    title="attacks on other losses find nothing more",
    needs="threat",
    run=other_losses,
    level="full",
)


def each_target(threat: CheckedThreat) -> Finding:
    """Aim at each of the other classes in turn, on what withstood.

    Gowal et al., An alternative surrogate loss for PGD-based adversarial testing (2019); Croce and Hein
    (2020), section 4.2.
    """
    at, surfaces = some(threat)[:_IMAGES_LONG], threat.climbed
    if why := not_attacked(threat, at):
        return why
    if not surfaces:
        return not_applicable("the model has no gradient to follow")
    steps = int(threat.model.bounds["each-target.steps"])
    targets = min(9, threat.judge.spec.num_classes - 1)
    try:
        tried = threat.attack("apgd-t", at, surface=surfaces[0], steps=steps, targets=targets)
    except UnsupportedAttack as refused:
        return not_applicable(str(refused))
    return more_found(
        threat,
        "each-target",
        tried,
        f"apgd-t, which aims at {targets} other classes in turn,",
        attack_to_add(threat, "apgd-t"),
    )


EACH_TARGET = Check(
    id="each-target",
    title="attacks aimed at each class find nothing more",
    needs="threat",
    run=each_target,
    level="full",
)
