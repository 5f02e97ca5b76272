from __future__ import annotations

import oracles
import pytest
from torch import nn

from bench.attacks import catalogue
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack


def test_counts_of_minimal_attacks_by_hand() -> None:
    """On two linear classes: one step of DeepFool, C&W's and DDN's steps as asked."""
    model, x, y = oracles.two_classes("l2", [0.1, 0.2, 0.3])

    def counts(name: str, toolkit, norm="l2", **words) -> list[list[int]]:
        spec = catalogue.resolve(name, norm, None, words)
        tried = run_attack(spec, toolkit, model, Batch(x, y), num_classes=2, seed=0)
        return [tried.forwards.tolist(), tried.backwards.tolist()]

    # A jacobian of two classes, then the look that finds the class changed.
    assert counts("deepfool", "torchattacks") == [[2] * 3, [2] * 3]
    # A gradient for the step, a look that finds the class changed.
    assert counts("deepfool", "native") == [[2] * 3, [1] * 3]
    # Logits for the ranking, a gradient for the step, one that finds the class changed.
    assert counts("deepfool", "foolbox") == [[3] * 3, [2] * 3]
    assert counts("cw", "foolbox", steps=7) == [[7] * 3, [7] * 3]
    assert counts("cw", "foolbox", steps=7, search_steps=2) == [[14] * 3, [14] * 3]
    assert counts("cw", "torchattacks", steps=7) == [[7] * 3, [7] * 3]
    # A look at each point of the descent, and a gradient where it goes on from.
    ead = {"norm": "l1", "steps": 7, "search_steps": 2}
    assert counts("ead", "foolbox", **ead) == [[28] * 3, [14] * 3]
    assert counts("ead", "torchattacks", **ead) == [[29] * 3, [14] * 3]
    # One gradient for each of two classes.
    assert counts("ead", "art", **ead) == [[56] * 3, [28] * 3]
    # The rule by which an image counts costs nothing.
    ead_en = {**ead, "norm": "l2"}
    for toolkit in ("art", "foolbox", "torchattacks"):
        assert counts("ead-en", toolkit, **ead_en) == counts("ead", toolkit, **ead)
    assert counts("ddn", "foolbox", steps=7) == [[7] * 3, [7] * 3]
    # Two gradients an iteration; steps=9 are 3 iterations.
    assert counts("cw", "art", steps=9)[1] == [6] * 3
    # A gradient, a look at each of 1, 2 and 3 points of the grid, 15 halvings of 0.02, a last look.
    model, x, y = oracles.two_classes("linf", [0.01, 0.03, 0.05])
    assert counts("fgsm-radius", "native", "linf", scan=25) == [[18, 19, 20], [1] * 3]
    # A gradient at each of 1, 2 and 3 points, and one that finds the class changed; a last look.
    assert counts("ifgsm-radius", "native", "linf", step_size=0.02) == [[3, 4, 5], [2, 3, 4]]


@pytest.mark.parametrize("norm", ["l0", "l1", "l2", "linf"])
def test_counts_of_fmn_by_hand(norm) -> None:
    """Its first step goes as far as the gradient says: on lines to the boundary, to the last bit.

    There, whether it has crossed, and need not begin again elsewhere, differs between processors. So the
    logits are bent, and it goes well beyond.
    """
    lines, x, y = oracles.two_classes("l2", [0.1, 0.2, 0.3])
    model = nn.Sequential(lines, nn.Tanh())
    spec = catalogue.resolve("fmn", norm, None, {"steps": 20})
    tried = run_attack(spec, "foolbox", model, Batch(x, y), num_classes=2, seed=0)
    assert (tried.forwards.tolist(), tried.backwards.tolist()) == ([20] * 3, [20] * 3)
