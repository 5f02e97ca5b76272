"""AutoAttack, ours and of torchattacks' parts, and the targeted parts of torchattacks 3.5.1."""

from __future__ import annotations

import pytest
import torch
import torchattacks
from attack_cases import EPS
from torch import nn

from bench.attacks import catalogue
from bench.attacks.instrument import attacked
from bench.attacks.job import Batch
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import UnsupportedAttack


def run(
    model, x, y, name: str, norm: str, eps=None, num_classes: int = 10, kit="torchattacks", **words
) -> AttackResult:
    spec = catalogue.resolve(name, norm, eps or EPS[norm], words)
    return run_attack(spec, kit, model, Batch(x, y), num_classes=num_classes, seed=0)


@pytest.mark.parametrize("kit", ["torchattacks", "native"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("without", ["", "apgd-t", "fab-t"])
def test_autoattack_is_its_parts_in_turn(trained, norm, without, kit) -> None:
    net, x, y = trained.net, trained.x, trained.y
    eps = {"linf": 0.07, "l2": 0.3}[norm]
    left_out = {without.replace("-", "_"): False} if without else {}
    whole = run(net, x, y, "autoattack", norm, eps, kit=kit, steps=5, queries=30, **left_out)
    broken_by: list[str | None] = [None] * len(x)
    x_adv, left = x.clone(), torch.arange(len(x))
    forwards, backwards = torch.zeros(len(x)).long(), torch.zeros(len(x)).long()
    parts = [("apgd-ce", {"steps": 5}), ("apgd-t", {"steps": 5}), ("fab-t", {"steps": 5}),
             ("square", {"queries": 30})]  # fmt: skip
    for name, words in parts:
        if name == without:
            continue
        assert len(left)
        part = run(net, x[left], y[left], name, norm, eps, kit=kit, **words)
        # What each part came up with is looked at once more.
        forwards[left] += part.forwards + 1
        backwards[left] += part.backwards
        fooled = net(part.x_adv).argmax(1) != y[left]
        x_adv[left[fooled]] = part.x_adv[fooled]
        for row in left[fooled].tolist():
            broken_by[row] = name
        left = left[~fooled]
    assert torch.equal(whole.x_adv, x_adv)
    assert whole.broken_by == broken_by
    assert "apgd-ce" in broken_by
    assert 0 < len(left) < len(x)
    assert torch.equal(x_adv[left], x[left])
    assert (whole.forwards.tolist(), whole.backwards.tolist()) == (
        forwards.tolist(), backwards.tolist(),
    )  # fmt: skip
    assert whole.iterations is None


def test_torchattacks_own_autoattack_takes_ten_steps(trained) -> None:
    with attacked(trained.net, trained.x[:2], 0) as probe:
        own = torchattacks.AutoAttack(probe, eps=1e-4, seed=0)
        parts = own._autoattack.attacks
        assert [part.steps for part in parts[:3]] == [10] * 3
    spec = catalogue.resolve("autoattack", "linf", "8/255")
    assert spec.parameters == (("apgd_t", True), ("fab_t", True), ("queries", 5000), ("steps", 100))


class Few(nn.Module):
    """Linear logits of so many classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(64, classes, generator=torch.Generator()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight


def test_apgd_t_needs_four_classes(trained) -> None:
    x = trained.x[:3]
    model = Few(3).eval()
    y = model(x).argmax(1)
    with attacked(model, x, 0) as probe:
        with pytest.raises(IndexError):
            torchattacks.APGDT(probe, n_classes=3)(x, y)
        wrong = (y + 1) % 3
        assert torch.equal(torchattacks.APGDT(probe, n_classes=3)(x, wrong), x)
    with pytest.raises(UnsupportedAttack, match="3 classes, 4 are needed"):
        run(model, x, y, "apgd-t", "linf", num_classes=3)
    with pytest.raises(UnsupportedAttack, match="3 classes, 4 are needed; set apgd_t=false"):
        run(model, x, y, "autoattack", "linf", num_classes=3)
    tried = run(model, x, y, "autoattack", "linf", num_classes=3, apgd_t=False, steps=5, queries=5)
    assert (model(tried.x_adv).argmax(1) != y).any()


def test_apgd_t_in_l2_steps_as_far_as_the_first_image_of_its_batch(trained) -> None:
    net, x, y = trained.net, trained.x, trained.y
    with torch.no_grad():
        sure = net(x).softmax(1).amax(1).argsort(descending=True)
    # Images that withstand: what is looked at is how they are stepped from.
    seen: list[torch.Tensor] = []

    class Noted(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.detach().clone())
            return net(images)

    def path(first: int, second: int, raw: bool) -> torch.Tensor:
        rows = torch.tensor([first, second])
        seen.clear()
        if raw:
            with attacked(Noted(), x[rows], 0) as probe:
                torchattacks.APGDT(probe, norm="L2", eps=0.2, steps=60, n_classes=2)(
                    x[rows], y[rows]
                )
        else:
            run(Noted(), x[rows], y[rows], "apgd-t", "l2", 0.2, steps=60, targets=1)
        return torch.stack([images[1] for images in seen if len(images) == 2])

    # As many first images as it takes for two of them to halve their step at different times.
    last, others = int(sure[0]), sure[1:13].tolist()
    for raw, alike in ((True, False), (False, True)):
        paths = [path(other, last, raw)[-50:] for other in others]
        same = [torch.allclose(paths[0], other, atol=1e-6) for other in paths[1:]]
        assert all(same) == alike


@pytest.mark.parametrize("restarts", [1, 2])
def test_apgd_t_in_linf_is_torchattacks_own(trained, restarts) -> None:
    x, y = trained.x[:8], trained.y[:8]
    with attacked(trained.net, x, 0) as probe:
        raw = torchattacks.APGDT(
            probe, eps=0.08, steps=8, n_restarts=restarts, n_classes=4, seed=0
        )(x, y)
    tried = run(trained.net, x, y, "apgd-t", "linf", 0.08, steps=8, restarts=restarts, targets=3)
    assert torch.equal(tried.x_adv, raw)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_t_finds_what_torchattacks_own_finds(trained, norm) -> None:
    x, y = trained.x[:8], trained.y[:8]
    with attacked(trained.net, x, 0) as probe:
        raw = torchattacks.FAB(
            probe, norm=norm.capitalize(), eps=0.09, steps=5, multi_targeted=True, n_classes=4
        )(x, y)
    assert torch.equal(run(trained.net, x, y, "fab-t", norm, 0.09, steps=5, targets=3).x_adv, raw)


@pytest.mark.parametrize("name", ["apgd-t", "fab-t"])
def test_passes_of_targeted_parts_by_hand(trained, name) -> None:
    """Nothing falls within a radius this small, so every target and restart is gone through."""
    x, y = trained.x[:3], trained.y[:3]

    def counts(**words) -> list[list[int]]:
        tried = run(trained.net, x, y, name, "linf", 1e-6, steps=7, **words)
        return [tried.forwards.tolist(), tried.backwards.tolist()]

    if name == "apgd-t":
        # A look at the image; for each target its rank, then a gradient at the start and each step.
        assert counts(targets=2) == [[1 + 2 * (1 + 8)] * 3, [2 * 8] * 3]
        assert counts(targets=2, restarts=2, eot=3) == [[1 + 4 * (1 + 24)] * 3, [4 * 24] * 3]
    else:
        # Two looks at the image, then a gradient and a look for each step.
        assert counts(targets=2) == [[2 * (2 + 14)] * 3, [2 * 7] * 3]
        assert counts(targets=99, restarts=2) == [[18 * (2 + 14)] * 3, [18 * 7] * 3]
