import numpy as np
import pytest
import torch

from bench.errors import AdapterError, PrerequisiteError
from bench.zoo import load_model

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnx2torch", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

#: The oldest form of the standard that has all operations here.
_OPSET, _IR = 17, 8


def graph(path, *operations, shape=("n", 1, 8, 8), kind="FLOAT", seed=0):
    """Write a linear classifier of digits, with some operations on its scores, and return weights and address."""
    helper, generator = onnx.helper, np.random.default_rng(seed)
    weight = generator.normal(size=(64, 10)).astype(np.float32)
    number = getattr(onnx.TensorProto, kind)
    held = weight.astype(helper.tensor_dtype_to_np_dtype(number))
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["s0"]),
        *(helper.make_node(name, [f"s{i}"], [f"s{i + 1}"]) for i, name in enumerate(operations)),
    ]
    made = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("x", number, shape)],
        [helper.make_tensor_value_info(f"s{len(operations)}", number, (shape[0], 10))],
        [onnx.numpy_helper.from_array(held, "w")],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.save(model, path)
    return torch.tensor(weight), f"onnx:{path}?data=digits"


def test_a_graph_that_converts_is_white_box(tmp_path):
    weight, name = graph(tmp_path / "a.onnx")
    model, x, y = load_model(name), torch.rand(5, 1, 8, 8), torch.arange(5)
    logits = x.flatten(1) @ weight
    assert torch.allclose(model.predict(x).scores, logits, atol=1e-5)
    error = logits.softmax(1) - torch.nn.functional.one_hot(y, 10)
    wanted = (error @ weight.T).view_as(x)
    assert torch.allclose(model.gradient(x, y), wanted, atol=1e-5)


def test_a_softmax_at_the_end_is_left_out(tmp_path):
    weight, name = graph(tmp_path / "a.onnx", "Softmax")
    model, x = load_model(name), torch.rand(5, 1, 8, 8)
    assert torch.allclose(model.predict(x).scores, x.flatten(1) @ weight, atol=1e-5)
    assert list(model.surfaces()) == ["network"]


def test_a_graph_that_does_not_convert_is_black_box(tmp_path):
    weight, name = graph(tmp_path / "a.onnx", "Shrink")  # onnx2torch does not know it
    model, x = load_model(name), torch.rand(5, 1, 8, 8)
    logits = x.flatten(1) @ weight
    assert model.surfaces() == {}
    assert torch.allclose(model.predict(x).scores, logits * (logits.abs() > 0.5), atol=1e-5)


@pytest.mark.parametrize("operations", [(), ("Shrink",)])
@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_a_graph_for_a_fixed_number_of_images_takes_any(tmp_path, operations, count):
    weight, name = graph(tmp_path / "a.onnx", *operations, shape=(4, 1, 8, 8))
    x = torch.rand(count, 1, 8, 8)
    scores = load_model(name).predict(x).scores
    assert scores.shape == (count, 10)
    assert torch.equal(scores.argmax(1), (x.flatten(1) @ weight).argmax(1))


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE"])
def test_a_graph_of_another_precision_gets_images_in_it(tmp_path, kind):
    weight, name = graph(tmp_path / "a.onnx", kind=kind)
    x = torch.rand(5, 1, 8, 8)
    scores = load_model(name).predict(x).scores
    assert scores.dtype == torch.float32
    assert torch.allclose(scores, x.flatten(1) @ weight, atol=2e-2)


@pytest.mark.parametrize("operations", [(), ("Shrink",)])
def test_two_versions_of_a_file_are_two_models(tmp_path, operations):
    prints, x = [], torch.rand(2, 1, 8, 8)
    for seed in (0, 1, 0):
        weight, name = graph(tmp_path / "a.onnx", *operations, seed=seed)
        model = load_model(name)
        prints.append(model.fingerprint())
        assert torch.equal(model.predict(x).labels, (x.flatten(1) @ weight).argmax(1))
    assert prints[0] == prints[2] != prints[1]


def test_normalisation_and_size_are_given_in_the_address(tmp_path):
    weight, name = graph(tmp_path / "a.onnx")
    x = torch.rand(3, 1, 8, 8)
    scores = load_model(f"{name}&mean=0.5&std=0.25").predict(x).scores
    assert torch.allclose(scores, ((x - 0.5) / 0.25).flatten(1) @ weight, atol=1e-4)


def test_a_graph_brings_the_size_of_its_images(tmp_path):
    _, name = graph(tmp_path / "a.onnx")
    model = load_model(name.replace("digits", "mnist"))
    assert model.spec.input_shape == (1, 28, 28)
    assert model.predict(torch.rand(2, 1, 28, 28)).scores.shape == (2, 10)


def test_what_is_no_model_is_named(tmp_path):
    (tmp_path / "b.onnx").write_bytes(b"no graph")
    with pytest.raises(AdapterError, match=r"b\.onnx is no ONNX file"):
        load_model(f"onnx:{tmp_path}/b.onnx?data=digits")
    with pytest.raises(PrerequisiteError, match="no file"):
        load_model(f"onnx:{tmp_path}/nix.onnx?data=digits")
    _, name = graph(tmp_path / "c.onnx")
    with pytest.raises(
        AdapterError, match=r"takes images of shape \(1, 8, 8\), cifar10 has \(3, 32, 32\)"
    ):
        load_model(name.replace("digits", "cifar10"))


def test_without_onnx_its_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        PrerequisiteError, match=r"needs onnx and .*pip install 'crossfire-bench\[onnx\]'"
    ):
        load_model("onnx:nix.onnx?data=digits")
