"""The same attacks on a GPU and on the processor: the same rows, but where two scores are all but equal."""

import warnings

import digits_network
import pytest
import torch

import bench
from bench.adapters.modes import full_precision
from bench.adapters.smoothed import smooth

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
ATTACKS = [
    ("fgsm", "linf", "0.1", "torchattacks", {}),
    ("pgd", "linf", "0.1", "torchattacks", {"steps": 10}),
    ("pgd", "linf", "0.1", "foolbox", {"steps": 10}),
    ("pgd", "l2", "0.5", "torchattacks", {"steps": 10}),
    ("pgd", "linf", "0.1", "art", {"steps": 10}),
    ("apgd-ce", "linf", "0.1", "torchattacks", {"steps": 10}),
    ("square", "linf", "0.1", "torchattacks", {"queries": 100}),
    ("deepfool", "l2", None, "native", {}),
    ("fgsm-radius", "linf", None, "native", {}),
    ("ifgsm-radius", "linf", None, "native", {}),
    ("sparsefool", "l0", None, "native", {}),
    ("one-pixel", "l0", 1, "native", {"generations": 5}),
    ("adaptive", "linf", "0.1", "native", {"passes": 200}),
    ("deepfool", "l2", None, "foolbox", {}),
    ("fmn", "l2", None, "foolbox", {"steps": 20}),
]  # fmt: skip


def rows(device, name, norm, eps, toolkit, parameters):
    x, y = bench.load_data("digits", images=60)
    model = bench.wrap(digits_network.shipped().to(device), 10, (1, 8, 8))
    more = {} if eps is None else {"eps": eps}
    out = bench.attack(
        model, x.to(device), y.to(device), name, norm=norm, toolkit=toolkit, **more, **parameters
    )
    assert out.x_adv.device.type == device
    return out.rows


@cuda
@pytest.mark.parametrize(("name", "norm", "eps", "toolkit", "parameters"), ATTACKS)
def test_rows_agree_but_for_images_at_a_boundary(name, norm, eps, toolkit, parameters):
    here, there = (rows(device, name, norm, eps, toolkit, parameters) for device in ("cpu", "cuda"))
    clear = ~(here["borderline"] | there["borderline"])
    if eps is None:  # it ends at a boundary, where many images are no clear ones
        sizes = [each[norm][each["success"]].median() for each in (here, there)]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    else:
        assert clear.mean() > 0.8
    for column in ("label", "clean_label", "correct", "success", "invalid"):
        same = (here[column] == there[column]) | (here[column].isna() & there[column].isna())
        assert same[clear].all(), column
    if eps is not None and "queries" not in parameters and name != "adaptive":
        assert here[["forwards", "backwards"]].equals(there[["forwards", "backwards"]])


@cuda
def test_no_step_waits_for_the_gpu():
    """Torch warns where a value is read; the harness and torchattacks' PGD do so once, never in a step."""
    warned = []
    for steps in (5, 15):
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                rows("cuda", "pgd", "linf", "0.1", "torchattacks", {"steps": steps})
        finally:
            torch.cuda.set_sync_debug_mode("default")
        warned.append(sum("synchroniz" in str(one.message) for one in found))
    assert warned[0] == warned[1]


@cuda
def test_certificates_agree():
    x, found = bench.load_data("digits", images=30)[0], []
    spec = bench.wrap(digits_network.shipped(), 10, (1, 8, 8)).spec
    for device in ("cpu", "cuda"):
        model = smooth(spec, digits_network.shipped().to(device), 0.25)
        with full_precision():
            found.append(model.certify_at(x.to(device), (0.1, 0.25), n=300))
    # The noise is the same; a copy at a boundary may be the vote that decides.
    for here, there in zip(*found, strict=True):
        assert int((here != there.cpu()).sum()) <= 1
