"""One-pixel of our own: its evolution by hand, its stops and trace, and images that leave the batch."""

from __future__ import annotations

import math

import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import bench
from bench.attacks import catalogue
from bench.attacks.described import described
from bench.attacks.job import Batch
from bench.attacks.native import one_pixel
from bench.attacks.run_attack import AttackResult, run_attack
from bench.errors import SpecError

QUICK = {"population": 30, "generations": 8}


def run(
    model: nn.Module, x, y, eps=1, target=None, num_classes: int = 10, seed: int = 0, **words
) -> AttackResult:
    words = {**QUICK, "targeted": "none" if target is None else "next", **words}
    spec = catalogue.resolve("one-pixel", "l0", eps, words)
    return run_attack(spec, "native", model, Batch(x, y, target), num_classes, seed)


def shares(model: nn.Module, x: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(x).double().softmax(1).gather(1, of[:, None]).squeeze(1)


def last(tried: AttackResult) -> torch.Tensor:
    assert tried.trace is not None
    assert tried.iterations is not None
    return tried.trace.gather(1, tried.iterations[:, None]).squeeze(1)


@pytest.mark.parametrize("aimed", [False, True])
@pytest.mark.parametrize("eps", [1, 3])
def test_the_trace_is_the_best_probability_of_each_generation(trained, eps, aimed) -> None:
    target = (trained.y + 1) % 10 if aimed else None
    tried = run(trained.net, trained.x, trained.y, eps, target)
    of = trained.y if target is None else target
    assert tried.trace is not None
    assert tried.iterations is not None
    assert tried.trace.shape == (32, 1 + int(tried.iterations.max()))
    made = torch.arange(tried.trace.shape[1])
    assert torch.equal(tried.trace.isnan(), made > tried.iterations[:, None])
    # The image returned is the best that was tried.
    assert torch.allclose(last(tried).double(), shares(trained.net, tried.x_adv, of), atol=1e-6)
    steps = tried.trace.diff(dim=1)
    steps = steps[~steps.isnan()]
    assert ((steps >= 0) if aimed else (steps <= 0)).all()
    assert steps.abs().max() > 0.01
    assert torch.equal(tried.forwards, 30 * (1 + tried.iterations))
    assert not tried.backwards.any()


def test_it_comes_near_the_best_pixel_there_is() -> None:
    """On two linear classes a pixel gains most with each channel at its bound."""
    model, x, y = oracles.grey(3.0, (3, 4, 4))
    weight = (model.weight[1] - model.weight[0]).detach().view(3, 16)
    for pixels in (1, 2):
        gain = (weight.abs().sum(0) / 2).sort(descending=True).values[:pixels].sum()
        least = 1 / (1 + math.exp(float(gain) - 3.0))
        found = run(
            model, x, y, pixels, num_classes=2, population=200, generations=80, stop=1e-6
        )  # fmt: skip
        share = float(last(found))
        assert least <= share * (1 + 1e-6)
        assert math.log(share / least) < 0.15 * gain


@given(seed=st.integers(0, 10**6), eps=st.integers(1, 10), channels=st.sampled_from([1, 3]))
@settings(max_examples=25, deadline=None)
def test_nothing_leaves_the_box_and_few_pixels_change(seed, eps, channels) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(3, channels, 4, 5, generator=generator)
    x = torch.where(x < 0.3, 0.0, torch.where(x > 0.7, 1.0, x))
    model = oracles.Linear(torch.randn(4, x[0].numel(), generator=generator))
    tried = run(model, x, model(x).argmax(1), eps, num_classes=4, population=8, generations=6,
                stop=0.01, seed=seed)  # fmt: skip
    assert tried.x_adv.min() >= 0
    assert tried.x_adv.max() <= 1
    assert ((tried.x_adv != x).any(1).flatten(1).sum(1) <= eps).all()


@pytest.mark.parametrize("stop", [0.1, 0.5])
def test_it_stops_before_the_generation_in_which_the_label_is_unlikely_enough(
    trained, stop
) -> None:
    tried = run(trained.net, trained.x, trained.y, 3, stop=stop, generations=12)
    assert tried.trace is not None
    assert tried.iterations is not None
    ended = tried.iterations < 12
    assert ended.any()
    assert not ended.all()
    assert (last(tried)[ended] < stop).all()
    before = tried.trace[:, :-1][torch.arange(12) < tried.iterations[:, None]]
    assert (before >= stop).all()


def test_the_class_changes_before_the_label_is_unlikely(trained) -> None:
    """A search by probability begins alike and goes on."""
    by_class, by_share = (run(trained.net, trained.x, trained.y, 3, stop=s) for s in ("class", 0.1))
    assert by_class.trace is not None
    assert by_share.trace is not None
    assert (by_class.iterations <= by_share.iterations).all()
    assert (by_class.iterations < by_share.iterations).any()
    width = by_class.trace.shape[1]
    known = ~by_class.trace.isnan()
    assert torch.equal(by_class.trace[known], by_share.trace[:, :width][known])
    fooled = trained.net(by_class.x_adv).argmax(1) != trained.y
    assert fooled[by_class.iterations < 8].all()
    assert fooled.sum() > 5


def test_a_target_is_reached_and_stops_the_search(trained) -> None:
    target = (trained.y + 1) % 10
    by_class, by_share = (
        run(trained.net, trained.x, trained.y, 5, target, stop=s, generations=30)
        for s in ("class", 0.5)
    )
    for tried in (by_class, by_share):
        reached = trained.net(tried.x_adv).argmax(1) == target
        assert 3 < reached.sum() < 32
        assert tried.iterations is not None
        assert reached[tried.iterations < 30].all()
    assert by_share.iterations is not None
    assert (last(by_share)[by_share.iterations < 30] > 0.5).all()
    # No image is taken for one that reached its class because it lost its own.
    other = trained.net(by_class.x_adv).argmax(1)
    assert by_class.iterations is not None
    assert (by_class.iterations[(other != trained.y) & (other != target)] == 30).all()


def test_an_image_does_alone_what_it_does_in_a_batch(trained) -> None:
    together = run(trained.net, trained.x[:8], trained.y[:8], 3)
    assert together.trace is not None
    assert together.iterations is not None
    assert len(set(together.iterations.tolist())) > 1  # some left the batch before others
    backwards = run(trained.net, trained.x[:8].flip(0), trained.y[:8].flip(0), 3)
    assert torch.allclose(backwards.x_adv.flip(0), together.x_adv, atol=1e-6)
    for row in range(8):
        alone = run(trained.net, trained.x[row : row + 1], trained.y[row : row + 1], 3)
        assert torch.allclose(alone.x_adv[0], together.x_adv[row], atol=1e-6)
        assert alone.forwards[0] == together.forwards[row]
        assert alone.trace is not None
        own = int(together.iterations[row]) + 1
        assert torch.allclose(alone.trace[0], together.trace[row, :own], atol=1e-6)


def test_seeds_differ_and_repeat(trained) -> None:
    first, again, other = (
        run(trained.net, trained.x[:4], trained.y[:4], seed=seed).x_adv for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_more_images_go_through_the_model_at_once_than_there_is_room_for(
    trained, monkeypatch
) -> None:
    sizes: list[int] = []

    class Watched(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            found: torch.Tensor = trained.net(x)
            return found

    whole = run(Watched(), trained.x[:5], trained.y[:5])
    assert max(sizes) == 150
    for bound, most in (((7, 2**18), 7), ((10**6, 11 * 64), 11), ((10**6, 1), 1)):
        monkeypatch.setitem(one_pixel._AT_ONCE, "cpu", bound)
        sizes.clear()
        split = run(Watched(), trained.x[:5], trained.y[:5])
        assert max(sizes) == most
        assert torch.allclose(split.x_adv, whole.x_adv, atol=1e-6)
        assert torch.equal(split.forwards, whole.forwards)


class Shares(nn.Module):
    """A model that gives probabilities, and says so or not."""

    def __init__(self, net: nn.Module, scores: str) -> None:
        super().__init__()
        self.net, self.scores = net, scores

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).softmax(1)


def test_probabilities_are_taken_as_they_are(trained) -> None:
    x, y = trained.x[:6], trained.y[:6]
    logits, known = run(trained.net, x, y), run(Shares(trained.net, "probabilities"), x, y)
    assert torch.allclose(last(known), last(logits), atol=1e-5)
    wrong = run(Shares(trained.net, "logits"), x, y)
    assert not torch.allclose(last(wrong), last(logits), atol=0.05)


def test_a_model_without_gradient_is_attacked(trained) -> None:
    def answer(images):
        with torch.no_grad():
            return trained.net(torch.as_tensor(images)).softmax(1).numpy()

    model = bench.wrap_predict(
        answer, num_classes=10, input_shape=(1, 8, 8), scores="probabilities"
    )
    out = bench.attack(
        model, trained.x, trained.y, "one-pixel", norm="l0", eps=3, toolkit="native", stop=0.1,
        **QUICK,
    )  # fmt: skip
    assert out.rows.success.sum() > 5
    assert out.rows.invalid.isna().all()
    assert out.trace is not None
    assert list(out.trace) == ["index", "step", "value"]
    ends = out.trace.groupby("index").value.last()
    of = torch.as_tensor(trained.y)
    assert torch.allclose(
        torch.tensor(ends.to_numpy()).double(), shares(trained.net, out.x_adv, of), atol=1e-5
    )
    steps = out.trace.groupby("index").step.max()
    assert steps.tolist() == out.rows.iterations.tolist()


def test_attacks_without_a_trace_give_none(trained) -> None:
    model = bench.wrap(trained.net, num_classes=10, input_shape=(1, 8, 8))
    out = bench.attack(model, trained.x, trained.y, "noise", norm="linf", eps=0.1, toolkit="native")
    assert out.trace is None


class Broken(nn.Module):
    """A model whose scores are no numbers where a corner is bright."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x[:, 0, 0, 0] > 0.2
        return self.net(x).masked_fill(bright[:, None], torch.nan)


def test_scores_that_are_no_numbers_are_no_success() -> None:
    model, x, y = oracles.grey(1.0, (1, 2, 2))
    x[0, 0, 0, 0] = 0.0
    for target in (None, 1 - y):
        tried = run(Broken(model), x, y, 1, target, num_classes=2, population=60, generations=20)
        assert tried.x_adv[0, 0, 0, 0] <= 0.2
        assert tried.trace is not None
        assert not tried.trace[0, : int(tried.iterations[0]) + 1].isnan().any()


def test_a_model_that_always_answers_alike_gives_nothing_to_go_by() -> None:
    class Same(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([1.0, 0.0]).expand(len(x), 2) + 0 * x.flatten(1)[:, :1]

    x, y = torch.rand(2, 1, 3, 3), torch.zeros(2, dtype=torch.int64)
    tried = run(Same(), x, y, num_classes=2)
    assert tried.ineffective == ["constant scores"] * 2
    assert tried.iterations.tolist() == [8, 8]


def test_children_are_made_of_three_and_drawn_anew_outside() -> None:
    generator = torch.Generator().manual_seed(0)
    parents = torch.rand(2, 6, 3, 5, generator=generator)
    numbers = torch.rand(2, 6, 3, 8, generator=generator)
    children = one_pixel._children(parents, numbers)
    outside = 0
    for image in range(2):
        pool = parents[image].reshape(18, 5)
        for member in range(6):
            for pixel in range(3):
                drawn = numbers[image, member, pixel]
                rest = list(range(18))
                a, b, c = (rest.pop(int(drawn[i] * (18 - i))) for i in range(3))
                child = pool[a] + 0.5 * (pool[b] - pool[c])
                for value in range(5):
                    if not 0 <= child[value] <= 1:
                        child[value] = drawn[3 + value]
                        outside += 1
                assert torch.equal(children[image, member, pixel], child)
    assert outside > 10


def test_three_are_distinct_and_each_as_likely_as_any() -> None:
    numbers = torch.rand(60_000, 3, generator=torch.Generator().manual_seed(0))
    drawn = torch.stack(one_pixel._distinct(numbers, 5), 1)
    assert (drawn.sort(1).values.diff(dim=1) > 0).all()
    counts = torch.bincount((drawn * torch.tensor([25, 5, 1])).sum(1), minlength=125)
    assert (counts > 0).sum() == 60
    assert (counts[counts > 0] - 1000).abs().max() < 160  # five standard deviations
    edge = torch.stack(one_pixel._distinct(torch.full((1, 3), 1 - 2**-24), 1000), 1)
    assert edge.tolist() == [[999, 998, 997]]


def test_places_are_uniform_at_first_and_colours_normal() -> None:
    numbers = torch.rand(1, 50_000, 1, 8, generator=torch.Generator().manual_seed(0))
    first = one_pixel._first(numbers)
    assert torch.equal(first[..., :2], numbers[..., 3:5])
    colours = first[..., 2:].flatten()
    tail = 0.5 * math.erfc(1 / math.sqrt(2))
    for bound in (0.0, 1.0):
        assert float((colours == bound).float().mean()) == pytest.approx(tail, abs=0.005)
    assert float((colours < 0.75).float().mean()) == pytest.approx(0.6915, abs=0.005)


def test_of_pixels_in_one_place_the_last_counts() -> None:
    x = torch.zeros(1, 1, 2, 2)
    pixels = torch.tensor([[[0.0, 0.9, 0.3], [0.2, 0.5, 0.7], [1.0, 0.0, 0.1]]])
    assert one_pixel._painted(x, pixels).tolist() == [
        [[[0, pytest.approx(0.7)], [pytest.approx(0.1), 0]]]
    ]
    assert not x.any()


@pytest.mark.parametrize(
    ("stop", "why"),
    [
        ("klass", r"stop \(class, or a number\): 'klass' is not a number"),
        (1, "stop: 1 is too large; it must be below 1"),
        (0, "stop: 0 is too small; it must be above 0"),
    ],
)
def test_a_stop_is_the_class_or_a_probability(stop, why) -> None:
    with pytest.raises(SpecError, match=why):
        catalogue.resolve("one-pixel", "l0", 1, {"stop": stop})


def test_toolkits_stop_at_the_class_alone() -> None:
    asked = catalogue.resolve("one-pixel", "l0", 1, {"stop": "1/10"})
    for toolkit in ("art", "torchattacks"):
        assert "stops where the class changes (stop=1/10" in str(catalogue.refusal(asked, toolkit))
    assert catalogue.refusal(asked, "native") is None


def test_what_is_said_of_a_stop() -> None:
    told = {entry["name"]: entry for entry in described("one-pixel")["parameters"]}
    assert told["stop"]["values"] == "class or above 0, below 1"
    assert told["stop"]["default"] == "class"
    assert set(told["stop"]["refused"]) == {"art", "torchattacks"}
