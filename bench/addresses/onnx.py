"""`onnx:FILE`: a graph in ONNX's format, as a network where onnx2torch converts it, else run by onnxruntime."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.addresses.address import Address
from bench.addresses.networks import (
    Preprocessing,
    existing_file,
    need,
    network_model,
    sha256,
)
from bench.data.table import Dataset
from bench.errors import AdapterError
from bench.registry import first_line
from bench.spec import Adapter

#: How far the logits of a converted graph may be from those of onnxruntime, relative to the largest.
_CLOSE = 1e-3

#: How many graphs are kept open.
_OPEN = 16


def load(address: Address, data: Dataset) -> Adapter:
    """Return a model: white-box where onnx2torch converts the graph and answers as onnxruntime does, else black-box.

    A softmax at the end is left out, since attacks need logits.

    Raises:
        PrerequisiteError: the file or a package is missing.
        AdapterError: it is no such file, or no model for this data set.
    """
    need("onnx")
    file = existing_file(address.place)
    graph = Graph(file)
    wanted = _sized(Preprocessing.read(address.settings), graph.shape, data)
    black_box = network_model(graph, data, wanted)
    net = _converted(graph)
    if net is None:
        return black_box
    try:
        white_box = network_model(net, data, wanted)
    except AdapterError:
        return black_box
    return white_box if _agree(black_box, white_box) else black_box


class Graph(nn.Module):
    """A graph run by onnxruntime, which has no gradient.

    Attributes:
        file: as it was named.
        digest: the sha256 of the file, which identifies the graph.
        shape: (C, H, W) of the images it takes; 0 where any will do.
        fixed: how many images it takes at once; 0 for any number.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.digest = str(file), sha256(file)
        takes = self.session().get_inputs()
        if len(takes) != 1 or len(takes[0].shape) != 4:
            raise AdapterError(f"{file.name} does not take images (N, C, H, W) alone")
        self.fixed, *shape = (size if isinstance(size, int) else 0 for size in takes[0].shape)
        self.shape = tuple(shape)
        self.dtype = _DTYPES.get(takes[0].type)
        if self.dtype is None:
            raise AdapterError(
                f"{file.name} takes {takes[0].type}, not floating-point images; put a Cast in front"
            )

    def session(self) -> Any:
        """Return the graph, ready to run."""
        return _session(self.file, self.digest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of images (N, C, H, W)."""
        session = self.session()
        images = x.detach().cpu().to(self.dtype)
        parts = torch.split(images, self.fixed) if self.fixed else (images,)
        outputs = [self._of(session, part) for part in parts]
        return torch.cat(outputs).to(x.device)

    def _of(self, session: Any, images: torch.Tensor) -> torch.Tensor:
        count = len(images)
        if self.fixed > count:  # the last ones of a batch
            images = torch.cat([images, images[-1:].expand(self.fixed - count, -1, -1, -1)])
        (name,) = (each.name for each in session.get_inputs())
        outputs = session.run(None, {name: images.numpy()})
        return torch.from_numpy(outputs[0])[:count]

    def extra_repr(self) -> str:
        """Return the graph's digest."""
        return f"sha256={self.digest}"


_DTYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
}


@lru_cache(maxsize=_OPEN)
def _session(file: str, digest: str) -> Any:
    """Return a session for a graph; the digest keeps files apart that had the same name one after the other."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 3
    content = _model(file).SerializeToString()
    try:
        return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no type in common
        raise AdapterError(
            f"onnxruntime cannot run {Path(file).name} ({first_line(error)})"
        ) from error


def _model(file: str) -> Any:
    """Return what a file holds, without the softmax at its end."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(file)
    except (DecodeError, OSError, ValueError) as error:
        raise AdapterError(f"{Path(file).name} is no ONNX file ({first_line(error)})") from error
    graph = model.graph
    if not graph.output or not graph.node:
        raise AdapterError(f"{Path(file).name} holds no ONNX graph")
    last = [node for node in graph.node if graph.output[0].name in node.output]
    if last and last[0].op_type == "Softmax":
        graph.output[0].name = last[0].input[0]
        graph.node.remove(last[0])
    return model


def _sized(wanted: Preprocessing, shape: Sequence[int], data: Dataset) -> Preprocessing:
    """Return the preprocessing of a graph, with the size of its images where it takes one size alone."""
    channels, height, width = shape
    if channels and channels != data.input_shape[0]:
        raise AdapterError(
            f"it takes images of shape {tuple(shape)}, {data.name} has {data.input_shape}"
        )
    if wanted.size is not None or not height or not width:
        return wanted
    return dataclasses.replace(wanted, size=(height, width))


def _converted(graph: Graph) -> nn.Module | None:
    """Return a graph as a network of torch; None where onnx2torch has not all of its operations."""
    from onnx2torch import convert

    try:
        net: nn.Module = convert(_model(graph.file)).eval()
        return net
    except Exception:  # whatever an operation that it does not know ends in
        return None


def _agree(one: Adapter, other: Adapter) -> bool:
    """Return whether two models give the same scores for some images, up to rounding."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((3, *one.spec.input_shape), generator=generator)
    first, second = one.predict(x).scores, other.predict(x).scores
    return bool((first - second).abs().max() <= _CLOSE * first.abs().max())
