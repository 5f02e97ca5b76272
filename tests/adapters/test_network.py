import pytest
import torch
from torch import nn

import bench
from bench.adapters.losses import per_image_loss
from bench.errors import AdapterError, SpecError
from bench.spec import Adapter

SHAPE = (1, 4, 4)


def small_net(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(16, classes),
    )  # fmt: skip


def test_wrap_makes_an_adapter():
    model = bench.wrap(small_net(), 3, SHAPE)
    assert isinstance(model, Adapter)
    assert model.spec.family == "network"
    assert list(model.surfaces()) == ["network"]


def test_predict_is_the_networks_argmax_in_eval_mode_and_keeps_the_modes():
    net = small_net().train()
    net[1].eval()
    model = bench.wrap(net, 3, SHAPE)
    x = torch.rand(5, *SHAPE)
    modes = [part.training for part in net.modules()]
    statistics = net[1].running_mean.clone()
    prediction = model.predict(x)
    assert [part.training for part in net.modules()] == modes
    assert torch.equal(net[1].running_mean, statistics)
    assert torch.equal(prediction.scores, small_net_eval(net, x))
    assert torch.equal(prediction.labels, prediction.scores.argmax(1))
    assert not prediction.scores.requires_grad


def small_net_eval(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    modes = [(part, part.training) for part in net.modules()]
    net.eval()
    with torch.no_grad():
        scores = net(x)
    for part, mode in modes:
        part.training = mode
    return scores


def test_normalisation_is_part_of_the_model():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    x = torch.rand(4, *SHAPE)
    model = bench.wrap(net, 3, SHAPE, mean=[0.5], std=[0.25])
    assert torch.allclose(model.predict(x).scores, net((x - 0.5) / 0.25))


@pytest.mark.parametrize("loss", ["ce", "margin", "dlr"])
def test_gradient_agrees_with_finite_differences(loss):
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    model = bench.wrap(_Double(net), 4, SHAPE)
    x, y = torch.rand(3, *SHAPE, dtype=torch.float64), torch.tensor([0, 1, 2])
    gradient = model.gradient(x, y, loss)
    direction = torch.randn_like(x)
    step = 1e-6
    rise = per_image_loss(net(x + step * direction), y, loss)
    fall = per_image_loss(net(x - step * direction), y, loss)
    slope = (gradient * direction).flatten(1).sum(1)
    assert torch.allclose((rise - fall) / (2 * step), slope, rtol=1e-4, atol=1e-7)


class _Double(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.double())


def test_gradient_does_not_depend_on_the_batch():
    model = bench.wrap(small_net(), 3, SHAPE)
    x, y = torch.rand(6, *SHAPE), torch.tensor([0, 1, 2, 0, 1, 2])
    alone = torch.cat([model.gradient(x[i : i + 1], y[i : i + 1]) for i in range(6)])
    assert torch.allclose(model.gradient(x, y), alone, atol=1e-7)


def test_gradient_of_an_unknown_surface_is_refused():
    model = bench.wrap(small_net(), 3, SHAPE)
    with pytest.raises(SpecError, match="soft-knn"):
        model.gradient(torch.rand(1, *SHAPE), torch.tensor([0]), surface="soft-knn")


def test_fingerprint_follows_weights_buffers_and_normalisation():
    def made(change=lambda net: None, **settings):
        net = small_net()
        change(net)
        return bench.wrap(net, 3, SHAPE, **settings).fingerprint()

    first = made()
    assert first == made()
    with torch.no_grad():
        assert first != made(lambda net: net[0].weight[0, 0, 0].add_(1e-3))
        assert first != made(lambda net: net[1].running_var.add_(1e-3))
    assert first != made(mean=[0.0], std=[1.0])
    assert made(mean=[0.0], std=[1.0]) != made(mean=[0.0], std=[0.5])


class _Softmax(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, x):
        return self.net(x).softmax(1)


class _Broken(nn.Module):
    def forward(self, x):
        return torch.full((len(x), 3), torch.nan)


@pytest.mark.parametrize(
    ("net", "classes", "shape", "words"),
    [
        (small_net(), 5, SHAPE, "not num_classes=5 logits"),
        (small_net(), 3, (3, 4, 4), "does not take images of shape"),
        (_Softmax(), 3, SHAPE, "probabilities"),
        (_Broken(), 3, SHAPE, "not finite"),
    ],
)
def test_wrap_refuses_what_attacks_cannot_use(net, classes, shape, words):
    with pytest.raises(AdapterError, match=words):
        bench.wrap(net, classes, shape)


def test_wrap_wants_both_mean_and_std():
    with pytest.raises(AdapterError, match="both mean and std"):
        bench.wrap(small_net(), 3, SHAPE, mean=[0.5])


class _Returning(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.net, self.form = small_net(), form

    def forward(self, x):
        return self.form(self.net(x))


def _mixed():
    net = small_net()
    net[0].bfloat16()
    return net


@pytest.mark.parametrize(("net", "words"), [
    (_Returning(lambda logits: (logits[:, :2], None)), "returns a tuple without a part of 3 logits"),
    (_Returning(lambda logits: {"a": logits, "b": logits}), r"parts that may be its logits \(a, b\)"),
    (_Returning(lambda logits: "3"), "returns a str without a part of 3 logits"),
    (_Returning(lambda logits: logits.argmax(1, keepdim=True).expand(-1, 3)), "gives torch.int64"),
    (_Returning(lambda logits: logits.argmax(1)), "a label; attacks need logits, .*wrap_predict"),
    (_mixed(), r"weights are torch.bfloat16 and torch.float32, .*call .float\(\)"),
    (small_net().to("meta"), "meta device"),
    (lambda x: x, "got a function, not an nn.Module"),
    (nn.ReLU, "got the class ReLU"),
])  # fmt: skip
def test_wrap_says_what_it_was_given(net, words):
    with pytest.raises(AdapterError, match=words):
        bench.wrap(net, 3, SHAPE)


@pytest.mark.parametrize(("classes", "shape"), [("x", SHAPE), (3, (4, 4)), (3, 4), (0, SHAPE)])
def test_wrap_takes_counts_alone(classes, shape):
    with pytest.raises(AdapterError, match="num_classes"):
        bench.wrap(small_net(), classes, shape)


def test_half_precision_logits_become_float32():
    model = bench.wrap(_Returning(lambda logits: logits.bfloat16()), 3, SHAPE)
    x, y = torch.rand(4, *SHAPE), torch.tensor([0, 1, 2, 0])
    assert model.predict(x).scores.dtype == torch.float32
    assert model.gradient(x, y).abs().sum() > 0


class _Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        net = nn.Sequential(nn.Flatten(), nn.Linear(SHAPE[0] * SHAPE[1] * SHAPE[2], 3))
        self.net = torch.ao.quantization.quantize_dynamic(net, {nn.Linear})

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize("net", [
    _Quantised(), _Returning(torch.Tensor.detach), _Returning(lambda logits: torch.tensor(logits.tolist())),
])  # fmt: skip
def test_a_network_without_gradient_has_no_surface(net):
    model = bench.wrap(net, 3, SHAPE)
    x = torch.rand(2, *SHAPE)
    assert model.surfaces() == {}
    assert model.predict(x).scores.shape == (2, 3)
    assert model.fingerprint() == bench.wrap(net, 3, SHAPE).fingerprint()
    with pytest.raises(SpecError, match="has no gradient"):
        model.gradient(x, torch.tensor([0, 1]))


class _Writing(nn.Module):
    """Writes into its input where autograd does not see it, and gives the same tensor every time."""

    def __init__(self):
        super().__init__()
        self.net, self.out = small_net(), None

    def forward(self, x):
        x.data.mul_(0.5)
        logits = self.net(x / 0.5)
        if torch.is_grad_enabled():
            return logits
        self.out = (
            logits.clone()
            if self.out is None or len(self.out) != len(x)
            else self.out.copy_(logits)
        )
        return self.out


def test_a_network_that_writes_into_tensors_of_others_answers_as_if_it_did_not():
    model, plain = bench.wrap(_Writing(), 3, SHAPE), bench.wrap(small_net(), 3, SHAPE)
    plain.module.load_state_dict(model.module.net.state_dict())
    x, y = torch.rand(4, *SHAPE), torch.tensor([0, 1, 2, 0])
    before = x.clone()
    first = model.predict(x)
    model.predict(torch.rand(4, *SHAPE))
    assert torch.equal(first.scores, plain.predict(x).scores)
    # Of x / 0.5 autograd sees the division alone.
    assert torch.allclose(model.gradient(x, y), 2 * plain.gradient(x, y), atol=1e-7)
    assert torch.equal(x, before)
