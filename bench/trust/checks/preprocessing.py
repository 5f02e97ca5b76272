"""Whether what a model does to an image before its first layer hides a gradient."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.modes import eval_mode
from bench.adapters.network import NetworkAdapter, surface_gradient
from bench.attacks.native.adaptive.first_product import FirstProduct, TiedNetwork, link_of
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.masking import few
from bench.trust.checks.registry import Check, Finding
from bench.trust.lowered import adaptive_to_add, bound, lowered, not_applicable, not_attacked
from bench.trust.watch import one_line

#: From this cosine on, two gradients are the same.
_SAME = 0.999

_NOTHING_BEFORE = "nothing but a shift and a scale comes before its first layer"


def straight_through(threat: CheckedThreat) -> Finding:
    """Attack with the gradient passed by what comes before the first layer, as if it were the identity.

    Backward pass differentiable approximation (Athalye, Carlini and Wagner, Obfuscated gradients give a
    false sense of security, ICML 2018, section 4.1). An honest gradient is no worse than this one.
    """
    if threat.norm not in ("linf", "l2") or threat.drawn:
        what = "of a random model" if threat.drawn else f"in {threat.norm}"
        return not_applicable(f"no attack past the preparation of images {what} here")
    net, at = _network(threat), threat.survivors(few(threat))
    if net is None:
        return not_applicable("no network of torch is seen inside the model")
    if why := not_attacked(threat, at):
        return why
    try:
        tied = _tied(net, threat.x[at[:8]])
        same = tied is not None and _same_gradient(threat, net, tied, at[:8])
    except Exception as error:  # a network is anybody's code
        return not_applicable(f"its layers cannot be watched: {one_line(error)}")
    threat.count(5 * len(at[:8]))
    if tied is None:
        return not_applicable("the input of its first layer is no picture like the image")
    if same:
        return Finding(status="pass", sentence=_NOTHING_BEFORE)
    tried = threat.attack("pgd", at, surface=tied, steps=10)
    drop = lowered(threat, tried.broken)
    status = drop.status(threat, "straight-through")
    sentence = f"pgd along a gradient that passes by what comes before the first layer breaks {drop.words()}"
    if status != "pass":
        sentence += f": the preparation of images hides the gradient, and {drop.drop()}"
    return Finding(
        status=status,
        sentence=sentence,
        value=drop.share,
        bound=bound(threat, "straight-through"),
        remedy="" if status == "pass" else adaptive_to_add(threat),
    )


STRAIGHT_THROUGH = Check(
    id="straight-through",
    title="a gradient past the preparation of images finds nothing more",
    needs="threat",
    run=straight_through,
    masks=True,
)


def _network(threat: CheckedThreat) -> nn.Module | None:
    """Return the network that decides; None if the model is another kind."""
    return threat.judge.module if isinstance(threat.judge, NetworkAdapter) else None


def _tied(net: nn.Module, x: torch.Tensor) -> TiedNetwork | None:
    """Return a network whose first layer's input has the gradient of the image; None if it is not like it."""
    with eval_mode(net), torch.no_grad(), FirstProduct() as first:
        net(x.clone())
    link = link_of(x, first)
    return None if link is None else TiedNetwork(net, link, alone=True)


def _same_gradient(
    threat: CheckedThreat, net: nn.Module, tied: nn.Module, at: torch.Tensor
) -> bool:
    """Return whether the gradient of a network is the one that passes by what comes before its first layer."""
    if not threat.judge.surfaces():
        return False
    x, y = threat.x[at], threat.y[at]
    own, past = (
        surface_gradient("", {"": part}, x, y, "margin", "").flatten(1) for part in (net, tied)
    )
    return bool((F.cosine_similarity(own, past, dim=1) > _SAME).all())
