import pytest
import torch
from torch import nn

import bench
from bench.errors import AdapterError, SpecError
from bench.runner import attack as attacks
from bench.runner.attack import targets
from bench.runner.task import BlackBox

SCORES = torch.tensor([[3.0, 2.0, 1.0], [0.0, 5.0, 4.0], [9.0, 0.5, 0.1]])
LABELS = torch.tensor([0, 1, 2])


@pytest.fixture(scope="module")
def model(cache):
    return bench.load_model("digits/mlp")


@pytest.fixture(scope="module")
def images(model):
    """Return a dozen images that the model gets right."""
    x, y = bench.load_data("digits", images=30)
    right = model.predict(x).labels == y
    return x[right][:12], y[right][:12]


@pytest.mark.parametrize(("how", "expected"), [
    ("next", [1, 2, 0]), ("least-likely", [2, 0, 1]), ("1", [1, 1, 1]),
])  # fmt: skip
def test_targets(how, expected):
    assert targets(how, SCORES, LABELS, 0).tolist() == expected


def test_random_targets_are_other_classes_and_follow_the_seed():
    y = torch.arange(3).repeat(50)
    scores = torch.zeros(150, 3)
    drawn = targets("random", scores, y, 7)
    assert (drawn != y).all()
    assert set(drawn.tolist()) == {0, 1, 2}
    assert torch.equal(drawn, targets("random", scores, y, 7))
    assert not torch.equal(drawn, targets("random", scores, y, 8))


def test_no_target_and_no_such_class():
    assert targets("none", SCORES, LABELS, 0) is None
    with pytest.raises(SpecError, match="has no class 3; its classes are 0 to 2"):
        targets("3", SCORES, LABELS, 0)


def test_source_and_target_attack_the_images_of_one_class(model, images):
    x, y = images
    options = {"norm": "linf", "eps": 0.3, "toolkit": "torchattacks", "targeted": "next"}
    source = int(y[0])
    out = bench.attack(model, x, y, "pgd", **options, source=source)
    assert (out.rows.goal == "source-target").all()
    tried = out.rows.adv_label.notna()
    assert tried.tolist() == (y == source).tolist()
    assert (out.rows.target[tried] == (source + 1) % 10).all()
    assert out.rows.success[~tried].eq(False).all()
    assert torch.equal(out.x_adv[(y != source)], x[y != source])
    with pytest.raises(SpecError, match="source: the model has no class 10"):
        bench.attack(model, x, y, "pgd", **options, source=10)


def test_images_of_which_a_model_is_not_sure_can_be_left_alone(model, images):
    x, y = images
    every = bench.attack(model, x, y, "fgsm-radius", norm="linf", toolkit="native").rows
    least = float(every.clean_confidence[every.correct].median())
    some = bench.attack(
        model, x, y, "fgsm-radius", norm="linf", toolkit="native", least_confidence=least
    ).rows
    sure = every.correct & (every.clean_confidence >= least)
    assert 0 < sure.sum() < every.correct.sum()
    assert some.adv_label.notna().tolist() == sure.tolist()
    assert some.adversarial_radius.notna().tolist() == sure.tolist()
    assert some.adversarial_radius[sure].tolist() == pytest.approx(
        every.adversarial_radius[sure].tolist(), abs=3e-6
    )


@pytest.mark.parametrize("toolkit", ["art", "foolbox", "torchattacks"])
def test_confidence_reduction_halves_the_confidence_or_takes_the_label(model, images, toolkit):
    x, y = images
    out = bench.attack(
        model, x, y, "pgd", norm="linf", eps=0.3, toolkit=toolkit, goal="confidence-reduction"
    )
    assert (out.rows.goal == "confidence-reduction").all()
    lost = out.rows.adv_label != out.rows.label
    halved = out.rows.adv_confidence <= out.rows.clean_confidence / 2
    assert lost.any()
    assert out.rows.success.tolist() == (lost | halved).tolist()


def test_clean_wrong_images_are_rows_and_are_not_attacked(model, images):
    x, y = images
    y = y.clone()
    y[3] = (y[3] + 1) % 10
    out = bench.attack(model, x, y, "fgsm", norm="linf", eps=0.3, toolkit="torchattacks")
    row = out.rows.iloc[3]
    assert not row.correct
    assert not row.success
    assert row[["adv_label", "linf", "target"]].isna().all()
    assert (row.forwards, row.backwards) == (0, 0)
    assert torch.equal(out.x_adv[3], x[3])
    assert (out.rows.forwards.drop(3) == 1).all()


def test_rows_are_recomputed_from_the_images_tried(model, images):
    x, y = images
    out = bench.attack(model, x, y, "pgd", norm="l2", eps=1.0, steps=5, toolkit="foolbox")
    delta = (out.x_adv - x).flatten(1).double()
    assert out.rows.l2.tolist() == pytest.approx(delta.norm(dim=1).tolist())
    assert out.rows.linf.tolist() == pytest.approx(delta.abs().amax(1).tolist())
    labels = model.predict(out.x_adv).labels
    assert out.rows.adv_label.tolist() == labels.tolist()
    assert out.rows.success.tolist() == (labels != y).tolist()
    assert list(out.rows.columns) == list(bench.spec.COLUMNS)


def test_when_the_model_gets_everything_wrong_nothing_is_attacked(model, images):
    x, y = images
    out = bench.attack(model, x, (y + 1) % 10, "fgsm", norm="linf", eps=0.1, toolkit="art")
    assert not out.rows.correct.any()
    assert torch.equal(out.x_adv, x)


def test_targeted_attacks_leave_images_of_the_target_alone(model, images):
    x, y = images
    out = bench.attack(
        model, x, y, "pgd", norm="linf", eps=0.4, targeted=int(y[0]), toolkit="torchattacks"
    )
    assert not out.rows.success[0]
    assert out.rows.linf.isna()[0]
    hit = out.rows[out.rows.success]
    assert len(hit)
    assert (hit.adv_label == hit.target).all()


@pytest.mark.parametrize("fault", ["nan", "range", "budget", "shape"])
def test_what_a_toolkit_gets_wrong_is_a_failure_with_a_reason(model, images, monkeypatch, fault):
    def broken(spec, toolkit, module, batch, **settings):
        tried = run_attack(spec, toolkit, module, batch, **settings)
        x = batch.x
        bad = {
            "nan": torch.full_like(x, torch.nan),
            "range": x + 2,
            "budget": 1 - x,
            "shape": x[:, :, :4],
        }[fault]
        return tried._replace(x_adv=bad)

    run_attack = attacks.run_attack
    monkeypatch.setattr(attacks, "run_attack", broken)
    x, y = images
    rows = bench.attack(model, x, y, "fgsm", norm="linf", eps=0.1, toolkit="torchattacks").rows
    words = {"nan": "not finite", "range": "outside", "budget": "over budget", "shape": "shape"}
    assert not rows.success.any()
    assert rows.invalid[rows.correct].str.contains(words[fault]).all()


def test_a_black_box_gives_scores_and_no_gradient(model, images):
    box = BlackBox(model)
    x = images[0].clone().requires_grad_()
    scores = box(x)
    assert torch.equal(scores, model.predict(images[0]).scores)
    assert not scores.requires_grad


def test_a_black_box_that_may_say_no_class_has_one_class_more():
    box = BlackBox(bench.wrap_predict(lambda x: [-1, 1], 2, (1, 2, 2)))
    scores = box(torch.zeros(2, 1, 2, 2))
    assert scores.shape == (2, box.classes) == (2, 3)
    assert scores.argmax(1).tolist() == [2, 1]


def test_a_surface_that_is_not_there_is_said(model, images):
    with pytest.raises(SpecError, match="no surface 'soft-knn'; it has: network"):
        bench.attack(
            model, *images, "fgsm", norm="linf", eps=0.1, toolkit="art", surface="soft-knn"
        )


@pytest.mark.parametrize(("change", "error", "words"), [
    (lambda x, y: (x * 255, y), SpecError, "divide by 255"),
    (lambda x, y: (x - 0.5, y), SpecError, r"lie in \[0, 1\]"),
    (lambda x, y: (x * torch.nan, y), SpecError, r"lie in \[0, 1\]"),
    (lambda x, y: (x.expand(-1, 3, -1, -1), y), AdapterError, "takes images of shape"),
    (lambda x, y: (x[0], y), SpecError, "N, C, H, W"),
    (lambda x, y: ((x * 255).byte(), y), SpecError, "must be float"),
    (lambda x, y: (x, y.float()), SpecError, "labels must be integers"),
    (lambda x, y: (x, y[:-1]), SpecError, "labels must be integers"),
    (lambda x, y: (x, y + 5), SpecError, "classes 0 to 9"),
])  # fmt: skip
def test_images_and_labels_are_checked(model, images, change, error, words):
    x, y = change(*images)
    with pytest.raises(error, match=words):
        bench.attack(model, x, y, "fgsm", norm="linf", eps=0.1, toolkit="torchattacks")


def test_the_same_seed_gives_the_same_rows_and_batches_are_only_batches(model, images):
    def rows(**settings):
        found = bench.attack(
            model, *images, "pgd", norm="linf", eps=0.1, steps=3, toolkit="torchattacks", **settings
        ).rows
        return found.drop(columns="seconds")

    assert rows().equals(rows())
    assert not rows().equals(rows(seed=5))
    assert rows(batch_size=5)["index"].tolist() == list(range(12))


def test_a_model_in_training_mode_stays_so_and_is_attacked_in_eval_mode(images):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Linear(32, 10))
    model = bench.wrap(net.train(), 10, (1, 8, 8))
    x, _ = images
    y = model.predict(x).labels
    mean = net[2].running_mean.clone()
    bench.attack(model, x, y, "pgd", norm="linf", eps=0.1, steps=2, toolkit="foolbox")
    assert net.training
    assert net[2].training
    assert torch.equal(net[2].running_mean, mean)
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())
