import collections
import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.svm import SVC
from torch import nn

import bench
from bench.adapters.fingerprint import fingerprint
from bench.adapters.network import weights_digest
from bench.errors import AdapterError
from bench.model_names import MODELS
from bench.registry import load_plugin

SHAPE = (1, 8, 8)

PLUGIN = '''
"""A model of a user's."""
import bench, torch
import helper_of_a_user
from helper_of_a_user import shift

GAIN = 2.0

def scaled(x):
    return x * GAIN

def unused(x):
    return x - 1

class Net(torch.nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        self.bias = bias

    def forward(self, x):
        return self.net(shift(scaled(x))) + self.bias + helper_of_a_user.offset()

@bench.register_model("users", data="digits")
def users(bias=0.5):
    torch.manual_seed(0)
    return bench.wrap(Net(bias), 10, (1, 8, 8))
'''
HELPER = """
def shift(x):
    return x + 0.25

def offset():
    return STEP

def another():
    return 1

STEP = 0.125
"""


@pytest.fixture
def of_files(registry, tmp_path):
    """Return a function from changes of a plug-in and its helper to the model's fingerprint."""
    count = iter(range(100))

    def made(old="", new="", file="plugin", **options):
        folder = tmp_path / str(next(count))
        folder.mkdir()
        texts = {"plugin": PLUGIN, "helper": HELPER}
        assert old in texts[file]
        texts[file] = texts[file].replace(old, new)
        (folder / "helper_of_a_user.py").write_text(texts["helper"])
        (folder / "mine.py").write_text(texts["plugin"])
        sys.modules.pop("helper_of_a_user", None)
        MODELS._entries.pop("users", None)
        return bench.load_model("users", options, plugin=folder / "mine.py").fingerprint()

    yield made
    sys.modules.pop("helper_of_a_user", None)


@pytest.mark.parametrize(("old", "new", "file"), [
    ("self.net(shift(", "self.net(1 - shift(", "plugin"),
    ("return x * GAIN", "return x / GAIN", "plugin"),
    ("GAIN = 2.0", "GAIN = 2.5", "plugin"),
    ("torch.manual_seed(0)", "torch.manual_seed(1)", "plugin"),
    ("x + 0.25", "x + 0.5", "helper"),
    ("x + 0.25", "x - 0.25", "helper"),
    ("STEP = 0.125", "STEP = 0.25", "helper"),
])  # fmt: skip
def test_code_that_a_model_reaches_is_part_of_it(of_files, old, new, file):
    assert of_files() != of_files(old, new, file)


@pytest.mark.parametrize(("old", "new", "file"), [
    ("", "", "plugin"),
    ("A model of a user's.", "Its author changed these words.", "plugin"),
    ("    def forward", "\n\n    # a comment\n    def forward", "plugin"),
    ("    def forward(self, x):", '    def forward(self, x):\n        """Return logits."""', "plugin"),
    ("return x - 1", "return x - 2", "plugin"),
    ("return 1", "return 2", "helper"),
])  # fmt: skip
def test_comments_docstrings_and_code_it_does_not_reach_are_not(of_files, old, new, file):
    assert of_files() == of_files(old, new, file)


def test_options_of_the_factory_are_part_of_a_model(of_files):
    assert of_files() == of_files(bias=0.5)
    assert of_files() != of_files(bias=0.75)


class Holder(nn.Module):
    """A network that holds one thing more than its weights."""

    def __init__(self, held=None):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        self.held = held

    def forward(self, x):
        return self.net(x)


class Plain:
    def __init__(self, value):
        self.value = value

    def method(self, x):
        return x * self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def closure(value):
    return lambda x: x * value


def default(value):
    return eval(f"lambda x, y={value!r}: x * y")


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize("hold", [
    lambda v: v, str, lambda v: (1, "x", v), lambda v: {"a": [v]}, lambda v: {v, "x"},
    lambda v: frozenset([(v,)]), np.array, lambda v: np.array([None, v], dtype=object), torch.tensor,
    lambda v: Plain(v), lambda v: Slotted(v), closure, default, lambda v: Plain(v).method,
    lambda v: functools.partial(torch.mul, other=v), lambda v: functools.lru_cache(closure(v)),
    lambda v: Pair(1, v), lambda v: collections.deque([v]), lambda v: type("Made", (), {"v": v}),
    lambda v: torch.no_grad()(closure(v)), lambda v: property(closure(v)), lambda v: Path(f"{v}.pt"),
    lambda v: torch.tensor([v]).to_sparse(), lambda v: torch.tensor([[v]]).to_sparse_csr(),
    lambda v: torch.quantize_per_tensor(torch.tensor([v]), 0.5, 0, torch.quint8),
    lambda v: torch.tensor([v], dtype=torch.bfloat16), lambda v: torch.tensor([v]).to(torch.cfloat).conj(),
    lambda v: torch.jit.script(nn.Dropout(v / 10)), lambda v: (v > 2).__and__,
    lambda v: nn.ParameterList([nn.Parameter(torch.tensor(v))]),
])  # fmt: skip
def test_whatever_a_network_holds_is_part_of_it(hold):
    one, same, other = (fingerprint(Holder(hold(value))) for value in (2.0, 2.0, 3.0))
    assert one == same
    assert one != other


def test_hooks_and_the_order_of_parts_are_part_of_a_network():
    def hooked(value):
        net = Holder()
        net.net[1].register_forward_pre_hook(lambda module, given: (given[0] * value,))
        return fingerprint(net)

    assert hooked(1) == hooked(1)
    assert len({fingerprint(Holder()), hooked(1), hooked(2)}) == 3
    parts = {"a": nn.ReLU(), "b": nn.Sigmoid()}
    turned = dict(reversed(parts.items()))
    assert fingerprint(nn.Sequential(collections.OrderedDict(parts))) != fingerprint(
        nn.Sequential(collections.OrderedDict(turned))
    )


def test_what_differs_between_machines_and_calls_is_no_part():
    generator = torch.Generator()
    net = Holder([generator, "cpu", "/one/w.pt", Path("/one/w.pt"), torch.device("cpu")])
    other = Holder(
        [torch.Generator(), "cuda:1", "/other/w.pt", Path("/other/w.pt"), torch.device("meta")]
    )
    first = fingerprint(net)
    torch.rand(3, generator=generator)
    net.train(not net.training)
    net.requires_grad_(False)
    assert fingerprint(net) == first == fingerprint(other)


@pytest.mark.slow
def test_circles_and_long_chains_end():
    net = Holder()
    net.held = [net, {"net": net}, {Plain(net)}]
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert fingerprint(net) == fingerprint(net)
    assert fingerprint(deep) != fingerprint([deep])


def test_retrained_estimators_differ():
    x, y = bench.load_data("digits", split="train", images=300)
    x, y = x.flatten(1).numpy(), y.numpy()

    def made(c):
        svc = SVC(C=c, gamma=2.0).fit(x, y)
        return bench.wrap_predict(lambda t: svc.predict(t.flatten(1).numpy()), 10, SHAPE)

    assert made(0.1).fingerprint() == made(0.1).fingerprint()
    assert len({made(c).fingerprint() for c in (0.1, 10, 100)}) == 3


def test_detectors_of_four_thresholds_differ():
    net = Holder()

    def made(threshold):
        def predict(x):
            sure, labels = net(x).softmax(1).max(1)
            return labels.masked_fill(sure < threshold, -1)

        return bench.wrap_predict(predict, 10, SHAPE).fingerprint()

    assert len({made(threshold) for threshold in (0.1, 0.101, 0.102, 0.103)}) == 4


@pytest.mark.parametrize("answer", [
    lambda net: lambda x: net(x).softmax(1), lambda net: lambda x: net(x).argmax(1),
])  # fmt: skip
def test_functions_around_two_networks_differ(answer):
    one, other = Holder(), Holder()
    with torch.no_grad():
        other.net[1].weight[0, 0] += 1e-6
    made = [bench.wrap_predict(answer(net), 10, SHAPE).fingerprint() for net in (one, one, other)]
    assert made[0] == made[1] != made[2]


def test_scores_that_are_read_otherwise_make_another_model():
    def scores(x):
        return torch.full((len(x), 2), -0.6931472)

    logits = bench.wrap_predict(scores, 2, SHAPE, scores="logits", fingerprint="v1")
    shares = bench.wrap_predict(lambda x: scores(x).exp(), 2, SHAPE, fingerprint="v1")
    assert logits.fingerprint() != shares.fingerprint()


def test_crossfires_own_networks_keep_the_digest_of_their_weights():
    shipped = bench.load_model("cifar10/cnn")
    assert shipped.fingerprint() == weights_digest(shipped.module)
    mine = bench.wrap(shipped.module, 10, (3, 32, 32))
    assert mine.fingerprint() != shipped.fingerprint()


def test_weights_without_values_are_refused():
    with pytest.raises(AdapterError, match="meta device"):
        fingerprint(nn.Linear(2, 2, device="meta"))


SCRIPT = """
import sys, torch
from torch import nn
from bench.adapters.fingerprint import fingerprint

for _ in range(int(sys.argv[1])):  # counters of torch's that are elsewhere in another process
    nn.Linear(1, 1).register_forward_hook(lambda *given: None)
    torch.jit.script(nn.Sequential(nn.ReLU()))
    type("Other", (torch.autograd.Function,), {})

class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.round()
    @staticmethod
    def backward(ctx, gradient): return gradient

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
        self.script = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
        self.trace = torch.jit.trace(nn.Linear(4, 4), torch.zeros(1, 4))
        self.fast = torch.compile(nn.Sequential(nn.Linear(4, 4)))
        self.names = {"a", "b", "c", "d", "e"}
        self.net.register_forward_hook(lambda module, given, answer: answer * 2)
        self.folder = "/run-" + sys.argv[1] + "/weights.pt"
    def forward(self, x):
        return Round.apply(self.net(x)) if x.ndim in {1, 2, 3} else x if str(x) in {"f", "g", "h"} else 0

print(fingerprint(Net(), torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)))))
"""


@pytest.mark.slow
def test_equal_models_have_one_fingerprint_in_every_process(tmp_path):
    prints = set()
    for turn, seed in enumerate(("1", "77", "4242")):
        script = tmp_path / f"script{turn}.py"
        script.write_text("\n" * turn + SCRIPT)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", script, str(turn)], check=True, capture_output=True, text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(bench.__file__).parent.parent), "PATH": ""},
        )  # fmt: skip
        prints.add(done.stdout)
    assert len(prints) == 1


def test_plugins_may_lie_anywhere(registry, tmp_path):
    prints = set()
    for folder in ("a", "b"):
        path = tmp_path / folder / "mine.py"
        path.parent.mkdir()
        path.write_text(PLUGIN.replace('"users"', f'"users-{folder}"'))
        (path.parent / "helper_of_a_user.py").write_text(HELPER)
        sys.modules.pop("helper_of_a_user", None)
        load_plugin(path)
        prints.add(bench.load_model(f"users-{folder}").fingerprint())
    sys.modules.pop("helper_of_a_user", None)
    assert len(prints) == 1


class _Remembering(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.calls = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 0

    def forward(self, x):
        self.calls += 1
        self.seen = x
        return self.net(x)


def test_what_a_network_keeps_of_the_probes_images_is_no_part_of_it():
    before = fingerprint(_Remembering())
    assert bench.wrap(_Remembering(), 10, SHAPE).fingerprint() == before
