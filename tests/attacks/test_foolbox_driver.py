"""Faults of Foolbox 3.3.4, each shown raw and put right by the driver."""

from __future__ import annotations

import warnings

import eagerpy
import foolbox
import oracles
import pytest
import torch
from attack_cases import quick
from foolbox.criteria import TargetedMisclassification
from torch import nn

from bench.attacks import catalogue
from bench.attacks.foolbox_driver import minimal
from bench.attacks.instrument import attacked
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack


def driven(spec, model, x, y, toolkit="foolbox", num_classes: int = 10) -> torch.Tensor:
    return run_attack(spec, toolkit, model, Batch(x, y), num_classes=num_classes, seed=0).x_adv


def wrapped(model: nn.Module) -> foolbox.PyTorchModel:
    return foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")


def test_cw_gives_black_images_where_it_finds_none(trained) -> None:
    x, y = trained.x[:6], trained.y[:6]
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=1, steps=3, initial_const=1e-6
    )
    raw, _, success = attack(wrapped(trained.net), x, y, epsilons=None)
    assert not raw.any()
    assert success.any()  # and it calls black images successes
    spec = catalogue.resolve("cw", "l2", None, {"steps": 3, "c": 1e-6})
    assert torch.equal(driven(spec, trained.net, x, y), x)


def test_ead_gives_black_images_where_it_finds_none(trained) -> None:
    x, y = trained.x[:6], trained.y[:6]
    attack = foolbox.attacks.EADAttack(binary_search_steps=1, steps=3, initial_const=1e-6)
    with attacked(trained.net, x, 0) as probe:
        raw, _, success = attack(wrapped(probe), x, y, epsilons=None)
    assert not raw.any()
    assert success.any()
    spec = catalogue.resolve("ead", "l1", None, {"steps": 3, "c": 1e-6, "search_steps": 1})
    for toolkit in ("art", "foolbox", "torchattacks"):
        assert torch.equal(driven(spec, trained.net, x, y, toolkit), x)


def test_fmn_projects_onto_no_l2_ball() -> None:
    x0, x = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    tensors = [eagerpy.astensor(tensor) for tensor in (x, x0, torch.tensor([0.5, 3.0]))]
    raw = foolbox.attacks.L2FMNAttack().project(*tensors).raw
    assert raw.flatten(1).norm(dim=1).tolist() == [2, 2]
    ours = minimal._fmn_classes()["l2"]().project(*tensors).raw
    assert torch.allclose(ours.flatten(1).norm(dim=1), torch.tensor([0.5, 2.0]))


def test_fmn_keeps_a_value_more_than_its_l0_ball_holds() -> None:
    x0, x = torch.zeros(1, 1, 2, 2), torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 1, 2, 2)
    raw, ours = foolbox.attacks.L0FMNAttack(), minimal._fmn_classes()["l0"]()
    for count in (1, 2, 3, 4):
        tensors = [eagerpy.astensor(tensor) for tensor in (x, x0, torch.tensor([float(count)]))]
        assert (ours.project(*tensors).raw != 0).sum() == count
        if count < 4:
            assert (raw.project(*tensors).raw != 0).sum() == count + 1
        else:
            with pytest.raises(IndexError):
                raw.project(*tensors)


def test_fmn_comes_to_rest_before_the_boundary(trained) -> None:
    """Where the box cuts its steps short; begun beyond the boundary it finds every image."""
    x, y = trained.x, trained.y
    attack = minimal._fmn_classes()["l2"](steps=60)
    with attacked(trained.net, x, 0) as probe:
        raw = attack.run(wrapped(probe), x, foolbox.Misclassification(y))
    stuck = (raw == x).flatten(1).all(1)
    assert 0 < stuck.sum() < 32
    x_adv = driven(catalogue.resolve("fmn", "l2", None, {"steps": 60}), trained.net, x, y)
    assert (trained.net(x_adv).argmax(1) != y).all()
    assert torch.equal(x_adv[~stuck], raw[~stuck])


def test_cw_hardly_changes_pixels_of_0_or_1(trained) -> None:
    x = trained.x[:8].round()
    y = trained.net(x).argmax(1)
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=1, steps=60, stepsize=0.05, initial_const=1
    )
    raw, _, _ = attack(wrapped(trained.net), x, y, epsilons=None)
    assert raw.flatten(1).any(1).sum() <= 1  # black images: none found
    spec = catalogue.resolve("cw", "l2", None, {"steps": 60, "step_size": 0.05})
    x_adv = driven(spec, trained.net, x, y)
    assert (x_adv - x).abs().max() > 0.1


class Sure(nn.Module):
    """Two classes told apart so surely that gradients are the smallest of float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        other = 1e-7 * x.flatten(1).mean(1)
        return torch.stack([85 + 0 * other, other], 1)


def test_the_summed_loss_has_signs_where_the_mean_is_zero() -> None:
    x, y = torch.full((64, 1, 2, 2), 0.5), torch.zeros(64, dtype=torch.int64)
    raw, _, _ = foolbox.attacks.FGSM()(wrapped(Sure().eval()), x, y, epsilons=0.1)
    assert (raw != x).any()
    fgsm = quick("fgsm", "linf")
    others = [driven(fgsm, Sure(), x, y, toolkit, 2) for toolkit in ("art", "torchattacks")]
    assert torch.equal(others[0], x)
    assert torch.equal(others[1], x)
    assert torch.equal(driven(fgsm, Sure(), x, y, "foolbox", 2), x)


def test_mi_fgsm_accumulates_signs(trained) -> None:
    x, y = trained.x, trained.y
    attack = foolbox.attacks.mi_fgsm.LinfMomentumIterativeFastGradientMethod(
        abs_stepsize=0.025, steps=10
    )
    raw, _, _ = attack(wrapped(trained.net), x, y, epsilons=0.1)
    spec = quick("mi-fgsm", "linf", step_size=0.025)
    paper = driven(spec, trained.net, x, y, "torchattacks")
    assert (raw - paper).abs().amax((1, 2, 3)).gt(0.01).float().mean() > 0.5
    assert torch.equal(driven(spec, trained.net, x, y), paper)


def test_mi_fgsm_stands_still_where_the_gradient_is_zero() -> None:
    x, y = torch.full((3, 1, 2, 2), 0.5), torch.zeros(3, dtype=torch.int64)

    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([1 + 0 * x.flatten(1).sum(1), 0 * x.flatten(1).sum(1)], 1)

    assert torch.equal(driven(quick("mi-fgsm", "linf"), Flat(), x, y, num_classes=2), x)


def test_uniform_noise_exceeds_its_radius(trained) -> None:
    x, y = torch.full((64, 1, 8, 8), 0.5), torch.zeros(64, dtype=torch.int64)
    with torch.random.fork_rng():
        attack = foolbox.attacks.LinfAdditiveUniformNoiseAttack()
        raw, _, _ = attack(wrapped(trained.net), x, y, epsilons=0.1)
    assert (raw - x).abs().max() > 0.1005
    x_adv = driven(catalogue.resolve("noise", "linf", 0.1), trained.net, x, y)
    assert (x_adv - x).abs().max() <= 0.1 + 1e-6


def test_a_rounding_error_above_1_is_a_bare_assertion(trained) -> None:
    x, y = trained.x[:2].clone(), trained.y[:2]
    x[0, 0, 0, 0] = 1 + 2e-7
    with pytest.raises(AssertionError) as caught:
        foolbox.attacks.FGSM()(wrapped(trained.net), x, y, epsilons=0.1)
    assert str(caught.value) == ""
    assert driven(quick("fgsm", "linf"), trained.net, x, y).shape == x.shape


def test_fgsm_cannot_be_targeted(trained) -> None:
    criterion = TargetedMisclassification(trained.y[:2])
    with pytest.raises(ValueError, match="unsupported criterion"):
        foolbox.attacks.FGSM()(wrapped(trained.net), trained.x[:2], criterion, epsilons=0.1)
    assert catalogue.refusal(quick("fgsm", "linf", targeted="next"), "foolbox")


def test_gradients_are_left_in_the_parameters(trained) -> None:
    params = list(trained.net.parameters())
    foolbox.attacks.FGSM()(wrapped(trained.net), trained.x[:2], trained.y[:2], epsilons=0.1)
    assert all(param.grad is not None for param in params)
    for param in params:
        param.grad = None
    driven(quick("fgsm", "linf"), trained.net, trained.x[:2], trained.y[:2])
    assert all(param.grad is None for param in params)


def test_one_image_without_a_beginning_fails_the_whole_batch(trained) -> None:
    x, y = trained.x[:3], trained.y[:3]
    init = foolbox.attacks.LinearSearchBlendedUniformNoiseAttack(directions=2, steps=5)
    attack = foolbox.attacks.HopSkipJumpAttack(init_attack=init, steps=1)
    with (
        attacked(Always(), x, 0) as probe,
        warnings.catch_warnings(action="ignore"),
        pytest.raises(ValueError, match="init_attack failed for"),
    ):
        attack(wrapped(probe), x, torch.zeros_like(y), epsilons=None)
    for name in ("hopskipjump", "boundary"):
        tried = driven(quick(name, "l2"), Always(), x, torch.zeros_like(y))
        assert torch.equal(tried, x)


class Always(nn.Module):
    """Class 0, whatever it is shown."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([1.0] + [0.0] * 9).expand(len(x), 10)


def test_hopskipjump_shortens_its_steps_in_a_larger_batch() -> None:
    """It divides by the norm of the whole batch's gradient (hop_skip_jump.py)."""
    model, x, y = oracles.two_classes("l2", [1e-6] * 4)
    attack = foolbox.attacks.HopSkipJumpAttack()

    def lengths(count: int) -> torch.Tensor:
        images, labels = eagerpy.astensor(x[:count]), eagerpy.astensor(y[:count])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            gradients = attack.approximate_gradients(
                lambda tried: eagerpy.astensor(model(tried.raw).argmax(1)) != labels,
                images, 50, eagerpy.astensor(torch.full((count,), 0.1)),
            )  # fmt: skip
        return gradients.raw.flatten(1).norm(dim=1)

    assert lengths(1).tolist() == pytest.approx([1.0], rel=1e-3)
    assert lengths(4).max() < 0.6


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_hopskipjump_asks_all_questions_of_a_gradient_at_once(trained, norm) -> None:
    """With one question of each batch it comes to the images that Foolbox itself finds."""
    from bench.attacks.foolbox_driver.queries import _hopskipjump_class

    x, y = trained.x[:1], trained.y[:1]
    words = {"steps": 3, "initial_gradient_eval_steps": 20, "constraint": norm}
    found = []
    for kind in (foolbox.attacks.HopSkipJumpAttack, _hopskipjump_class()):
        with attacked(trained.net, x, 3) as probe:
            goal = Other(int(y))
            start = torch.rand(x.shape, generator=torch.Generator().manual_seed(5))
            found.append(kind(**words).run(wrapped(probe.eval()), x, goal, starting_points=start))
    assert torch.allclose(*found, atol=1e-4)


class Other(foolbox.criteria.Criterion):
    def __init__(self, label: int) -> None:
        self.label = label

    def __repr__(self) -> str:
        return "Other"

    def __call__(self, perturbed, outputs):
        return eagerpy.astensor(outputs).argmax(axis=-1) != self.label


def test_spatial_shifts_by_less_than_a_pixel_and_asks_about_what_it_has_found(trained) -> None:
    x = torch.zeros(2, 1, 5, 5)
    x[:, :, 2, 2] = 1

    class Corner(nn.Module):
        seen = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            Corner.seen += len(images)
            return torch.stack([images[:, 0, 2, 2], 0.5 - images[:, 0, 2, 2]], 1)

    y = torch.zeros(2, dtype=torch.int64)
    words = {"max_rotation": 0, "max_translation": 1}
    attack = foolbox.attacks.SpatialAttack(num_rotations=1, num_translations=2, **words)
    raw = attack.run(wrapped(Corner().eval()), x, foolbox.criteria.Misclassification(y))
    assert raw[0].max() < 0.7  # four fifths of a pixel, down and to the right
    spec = catalogue.resolve(
        "spatial", "linf", None, {"rotations": 1, "translations": 2, "max_translation": 1}
    )
    assert driven(spec, Corner(), x, y, num_classes=2)[0, 0, 3, 3] == pytest.approx(1, abs=1e-5)
