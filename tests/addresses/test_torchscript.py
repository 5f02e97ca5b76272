import pytest
import torch
from torch import nn

from bench.errors import AdapterError, PrerequisiteError
from bench.zoo import load_model

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")


def network(seed=0, outputs=10):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 36, outputs)
    )


def saved(net, path, traced=False):
    net = torch.jit.trace(net.eval(), torch.rand(2, 1, 8, 8)) if traced else torch.jit.script(net)
    net.save(path)
    return f"torchscript:{path}?data=digits"


@pytest.mark.parametrize("traced", [True, False])
def test_a_scripted_module_answers_as_the_network_does(tmp_path, traced):
    net = network()
    model = load_model(saved(net, tmp_path / "net.pt", traced))
    x, y = torch.rand(5, 1, 8, 8), torch.arange(5)
    assert torch.allclose(model.predict(x).scores, net.eval()(x), atol=1e-6)
    assert list(model.surfaces()) == ["network"]
    assert model.gradient(x, y).abs().amax((1, 2, 3)).min() > 0


def test_normalisation_is_given_in_the_address(tmp_path):
    net, x = network().eval(), torch.rand(3, 1, 8, 8)
    model = load_model(saved(net, tmp_path / "net.pt") + "&mean=0.5&std=0.25")
    assert torch.allclose(model.predict(x).scores, net((x - 0.5) / 0.25), atol=1e-5)


def test_two_versions_of_a_file_are_two_models(tmp_path):
    prints = []
    for seed in (0, 1, 0):
        prints.append(load_model(saved(network(seed), tmp_path / "net.pt")).fingerprint())
    assert prints[0] == prints[2] != prints[1]


def test_a_missing_file_is_something_missing(tmp_path):
    with pytest.raises(PrerequisiteError, match=r"no file .*nix\.pt"):
        load_model(f"torchscript:{tmp_path}/nix.pt?data=digits")


def test_files_and_modules_that_are_no_model_are_named(tmp_path):
    torch.save(network().state_dict(), tmp_path / "state.pt")
    with pytest.raises(AdapterError, match=r"is no TorchScript file; .*state:FILE"):
        load_model(f"torchscript:{tmp_path}/state.pt?data=digits")
    with pytest.raises(AdapterError, match=r"gives \(7,\) an image"):
        load_model(saved(network(outputs=7), tmp_path / "seven.pt"))
    name = saved(network(), tmp_path / "net.pt").replace("digits", "mnist")
    with pytest.raises(AdapterError, match=r"images of shape \(1, 28, 28\): RuntimeError: .*mat1"):
        load_model(name)
