import importlib.metadata
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.addresses import robustbench
from bench.errors import PrerequisiteError, SpecError
from bench.zoo import load_model

NAME = "robustbench:cifar10/Linf/Tiny"


@pytest.fixture
def zoo():
    """Return RobustBench's table of models for CIFAR-10 in linf; what a test adds is removed."""
    try:
        importlib.metadata.distribution("robustbench")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs the extra robustbench")
    robustbench._check_files()
    with robustbench._stand_ins():
        from robustbench.model_zoo import model_dicts
        from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

    models = model_dicts[BenchmarkDataset.cifar_10][ThreatModel.Linf]
    yield models
    models.pop("Tiny", None)


@pytest.fixture
def published(zoo, monkeypatch, tmp_path):
    """Return a small network in RobustBench's table, and the file where a download puts its weights."""

    def make():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 10)
        )

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    zoo["Tiny"] = {"model": make, "gdrive_id": "nowhere"}
    file = tmp_path / "robustbench" / "cifar10" / "Linf" / "Tiny.pt"
    file.parent.mkdir(parents=True)
    net = make()
    with torch.no_grad():
        net[0].weight.mul_(2)
    torch.save(net.state_dict(), file)
    return net, file


def test_a_model_is_loaded_by_robustbench_itself(published):
    net, _ = published
    model, x = load_model(NAME), torch.rand(3, 3, 32, 32)
    assert model.spec.data == "cifar10"
    assert torch.allclose(model.predict(x).scores, net(x), atol=1e-6)


def test_a_file_with_code_in_it_is_not_unpickled(published, capsys):
    class Planted:
        def __reduce__(self):
            return print, ("code of a file was run",)

    _, file = published
    torch.save({"state_dict": Planted()}, file)
    with pytest.raises(Exception, match="not a state dict"):
        load_model(NAME)
    assert "code of a file" not in "".join(capsys.readouterr())


def test_without_a_network_it_says_what_to_do(published, monkeypatch):
    _, file = published
    file.unlink()

    def refused(*arguments, **settings):
        raise OSError("no network")

    monkeypatch.setattr(sys.modules["robustbench.utils"], "download_gdrive_new", refused)
    with pytest.raises(
        PrerequisiteError, match=r"cannot be downloaded .*write the same address, and copy"
    ):
        load_model(NAME)


@pytest.mark.parametrize(("place", "words"), [
    ("cifar10/Standard", "write robustbench:DATA/THREAT/NAME"),
    ("cifar10/Linf/Wang2023Bettr_WRN-28-10", "did you mean Wang2023Better_WRN-28-10"),
    ("cifar10/L1/Standard", "no threat of RobustBench named 'L1'"),
])  # fmt: skip
def test_places_that_lead_nowhere_are_refused(zoo, place, words):
    with pytest.raises(SpecError, match=words):
        load_model(f"robustbench:{place}")


def test_files_of_another_package_are_noticed(monkeypatch, tmp_path):
    """Torchattacks has a folder `robustbench` of 2022, which may lie over the package."""
    own = tmp_path / "robustbench"
    own.mkdir()
    (own / "__init__.py").write_text("VERSION = 2022\n")
    info = tmp_path / "robustbench-1.1.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: robustbench\nVersion: 1.1.1\n")
    (info / "RECORD").write_text("robustbench/__init__.py,sha256=AAAA,15\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(
        PrerequisiteError, match=r"pip install --force-reinstall --no-deps robustbench"
    ):
        load_model("robustbench:cifar10/Linf/Standard")
    (info / "RECORD").write_text(
        f"robustbench/__init__.py,sha256={_digest(own / '__init__.py')},15\n"
    )
    robustbench._check_files()


def _digest(file: Path) -> str:
    import base64
    import hashlib

    found = hashlib.sha256(file.read_bytes()).digest()
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode()


def test_without_robustbench_its_extra_is_named(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    with pytest.raises(PrerequisiteError, match=r"pip install 'crossfire-bench\[robustbench\]'"):
        load_model("robustbench:cifar10/Linf/Standard")


def test_stand_ins_go_as_they_came():
    before = {name for name in robustbench._ABSENT if name in sys.modules}
    with robustbench._stand_ins():
        assert all(__import__(name) for name in robustbench._ABSENT)
    assert {name for name in robustbench._ABSENT if name in sys.modules} >= before
