"""How often an attack has the processor wait for values of the GPU: in no step, where the toolkit allows.

Two ways to see that without a GPU. On the device `meta` tensors have a shape and no values, so whatever reads a value
fails there. On the CPU, what would read a value is counted: a number from a tensor, a list, an array, a copy to the
processor, and places where a condition holds, whose number has to be known.
"""

import collections
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.attacks.catalogue import is_minimal, resolve
from bench.attacks.instrument import Probe
from bench.attacks.job import Batch
from bench.attacks.run_attack import run_attack

#: What toolkits do in each step without a value: their attacks of fixed steps, but for APGD and FAB, whose code
#: looks at conditions, and for ART, whose steps are made of numpy's arrays.
NEVER = [
    *[(name, "linf", kit) for name in ("bim", "pgd", "mi-fgsm") for kit in ("foolbox", "torchattacks")],
    *[("pgd", "l2", kit) for kit in ("foolbox", "torchattacks")],
    ("pgd", "linf", "adv-lib"),
    ("ddn", "l2", "foolbox"), ("ead", "l1", "foolbox"), ("fmn", "l2", "foolbox"), ("fmn", "linf", "adv-lib"),
    ("cw", "l2", "adv-lib"), ("alma", "l2", "adv-lib"), ("pdgd", "l2", "adv-lib"),
]  # fmt: skip
_READS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::is_nonzero",
}
_PLACES = {"aten::index", "aten::index_put", "aten::index_put_"}


class Reads(TorchDispatchMode):
    """Counts what would read a value of a GPU, by the name of the operation."""

    def __init__(self):
        super().__init__()
        self.counted = collections.Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        masks = name in _PLACES and any(at is not None and at.dtype is torch.bool for at in args[1])
        self.counted[name] += name in _READS or masks
        return function(*args, **kwargs or {})


@contextmanager
def reads(monkeypatch):
    found = Reads()
    with monkeypatch.context() as patched:
        for method in ("cpu", "tolist", "numpy"):
            plain = getattr(torch.Tensor, method)

            def counted(tensor, *args, plain=plain, method=method, **kwargs):
                found.counted[method] += 1
                return plain(tensor, *args, **kwargs)

            patched.setattr(torch.Tensor, method, counted)
        with found:
            yield found.counted


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))


def counted(name, norm, kit, steps, monkeypatch):
    model, x = net(), torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    spec = resolve(name, norm, None if is_minimal(name) else "0.01", {"steps": steps})
    with reads(monkeypatch) as found:
        run_attack(spec, kit, model, Batch(x, model(x).argmax(1), None), 5, 0)
    return found


def test_what_would_read_a_value_is_counted(monkeypatch):
    x = torch.arange(6.0)
    with reads(monkeypatch) as found:
        x.tolist(), x.sum().item(), bool(x.sum() > 0), x[x > 2], (x > 2).nonzero(), x.cpu().numpy()
        x[x > 4] = 0  # a number is written wherever the condition holds
        x[torch.tensor([1, 2])] += 1  # places that are numbers are known
    assert sum(found.values()) == 7


@pytest.mark.parametrize(("name", "norm", "kit"), NEVER)
def test_no_step_reads_a_value(name, norm, kit, monkeypatch):
    pytest.importorskip({"adv-lib": "adv_lib"}.get(kit, kit))
    few, many = (counted(name, norm, kit, steps, monkeypatch) for steps in (6, 16))
    assert many - few == {}


def test_a_step_of_our_deepfool_asks_only_which_images_go_on(monkeypatch):
    model, x = net(), torch.rand(6, 1, 8, 8)
    with torch.no_grad():
        model[3].weight *= 1e-3  # so flat and bent that images take many steps
    spec = {
        steps: resolve("deepfool", "l2", None, {"steps": steps, "overshoot": 0}) for steps in (1, 4)
    }
    found = {}
    for steps in spec:
        with reads(monkeypatch) as found[steps]:
            taken = run_attack(
                spec[steps], "native", model, Batch(x, model(x).argmax(1), None), 5, 0
            )
    more = int(taken.iterations.max()) - 1
    assert more >= 1
    assert sum((found[4] - found[1]).values()) <= 2 * more


@pytest.mark.parametrize("named", [None, [2, 0, 2], [1]])
@pytest.mark.parametrize("watched", [False, True])
def test_the_probe_reads_no_value(named, watched):
    model = net().to("meta")
    originals = torch.rand(4, 1, 8, 8, device="meta")
    probe = Probe(model, originals)
    probe.watch_scores = watched
    count = 4 if named is None else 3
    for _ in range(3):
        x = torch.rand(count, 1, 8, 8, device="meta", requires_grad=True)
        with nullcontext() if named is None else probe.playing(torch.tensor(named).to("meta")):
            loss = probe(x).sum()
        assert torch.autograd.grad(loss, x)[0].shape == x.shape
    assert probe.forwards.device.type == probe.guided.device.type == "meta"


def test_of_some_images_the_probe_finds_the_rows_without_reading_a_value():
    probe = Probe(net().to("meta"), torch.rand(4, 1, 8, 8, device="meta"))
    assert probe(torch.rand(2, 1, 8, 8, device="meta")).shape == (2, 5)
