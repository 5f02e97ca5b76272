import pytest
import torch

from bench.errors import AdapterError, PrerequisiteError, SpecError
from bench.zoo import load_model

CONF = """
import torch
from torch import nn

dependencies = ["torch"]


class Net(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.last = nn.Linear(64, 10)
        nn.init.normal_(self.last.weight)
        nn.init.constant_(self.last.bias, shift)

    def forward(self, x):
        return self.last(x.flatten(1))


def net(pretrained=False, shift=0.0):
    torch.manual_seed(1 if pretrained else 2)
    made = Net(shift)
    torch.manual_seed(1 if pretrained else 2)
    nn.init.normal_(made.last.weight)
    return made


def weights(pretrained=True):
    url = "https://nowhere.invalid/w.pt"
    net().load_state_dict(torch.hub.load_state_dict_from_url(url))


def words(pretrained=True):
    return "no network"
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return the folder of a repository that was downloaded before; there is no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", _refused)
    folder = tmp_path / "owner_repo_main"
    folder.mkdir()
    (folder / "hubconf.py").write_text(CONF)
    return folder


def _refused(*arguments, **settings):
    from urllib.error import URLError

    raise URLError("no network")


def test_an_entry_is_called_for_its_pretrained_network(repository):
    x = torch.rand(3, 1, 8, 8)
    model = load_model("hub:owner/repo:net?data=digits")
    torch.manual_seed(1)
    weight = torch.nn.init.normal_(torch.empty(10, 64))
    assert torch.allclose(model.predict(x).scores, x.flatten(1) @ weight.T, atol=1e-5)


def test_settings_are_arguments_of_the_entry_and_normalisation(repository):
    x = torch.rand(3, 1, 8, 8)
    plain = load_model("hub:owner/repo:net?pretrained=true&data=digits").predict(x).scores
    shifted = load_model("hub:owner/repo:net?pretrained=true&shift=2&data=digits").predict(x).scores
    assert torch.allclose(shifted, plain + 2, atol=1e-5)
    halved = load_model("hub:owner/repo:net?pretrained=true&mean=0&std=2&data=digits")
    assert torch.allclose(halved.predict(x).scores, plain / 2, atol=1e-5)


def test_a_branch_may_be_named(repository):
    repository.rename(repository.with_name("owner_repo_v1"))
    assert load_model("hub:owner/repo:v1:net?data=digits").spec.num_classes == 10


def test_code_of_the_network_counts_for_the_fingerprint(repository):
    first = load_model("hub:owner/repo:net?data=digits").fingerprint()
    (repository / "hubconf.py").write_text(CONF.replace("x.flatten(1)", "x.flatten(1).relu()"))
    assert load_model("hub:owner/repo:net?data=digits").fingerprint() != first


@pytest.mark.parametrize(("place", "error", "words"), [
    ("owner/repo", SpecError, "write hub:OWNER/REPO:ENTRY"),
    ("owner/repo:nix", SpecError, "no entry of owner/repo named 'nix'"),
    ("owner/repo:words", AdapterError, "entry words returns a str, not a network"),
    ("owner/repo:weights", PrerequisiteError, "cannot be downloaded .*no network"),
    ("owner/other:net", PrerequisiteError, "cannot be downloaded .*internet"),
])  # fmt: skip
def test_places_that_lead_nowhere_are_refused(repository, place, error, words):
    with pytest.raises(error, match=words) as caught:
        load_model(f"hub:{place}?data=digits")
    assert "\n" not in str(caught.value)


def test_weights_that_an_entry_reads_are_not_unpickled(repository, capsys):
    class Planted:
        def __reduce__(self):
            return print, ("code of a file was run",)

    (repository.parent / "checkpoints").mkdir()
    torch.save({"x": Planted()}, repository.parent / "checkpoints" / "w.pt")
    with pytest.raises(Exception, match="not a state dict"):
        load_model("hub:owner/repo:weights?data=digits")
    assert "code of a file" not in "".join(capsys.readouterr())
