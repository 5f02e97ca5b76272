import pytest
import torch

from bench.adapters.losses import per_image_loss
from bench.errors import SpecError

LOGITS = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 5.0]])
LABELS = torch.tensor([0, 1])


def test_cross_entropy_is_the_log_of_the_true_share():
    expected = -LOGITS.log_softmax(1)[[0, 1], LABELS]
    assert torch.allclose(per_image_loss(LOGITS, LABELS, "ce"), expected)


def test_margin_is_the_best_other_minus_the_true():
    assert per_image_loss(LOGITS, LABELS, "margin").tolist() == [-2.0, 3.0]


def test_dlr_divides_by_the_spread_of_the_first_three():
    assert per_image_loss(LOGITS, LABELS, "dlr").tolist() == pytest.approx([-2 / 3, 3 / 5])


def test_dlr_ignores_scale_and_shift():
    moved = per_image_loss(7 * LOGITS - 4, LABELS, "dlr")
    assert torch.allclose(moved, per_image_loss(LOGITS, LABELS, "dlr"))


def test_dlr_needs_three_classes():
    with pytest.raises(SpecError, match="at least 3 classes"):
        per_image_loss(LOGITS[:, :2], LABELS, "dlr")


def test_an_unknown_loss_is_named():
    with pytest.raises(SpecError, match="hinge"):
        per_image_loss(LOGITS, LABELS, "hinge")  # type: ignore[arg-type]
