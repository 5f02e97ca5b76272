"""Tensors of every kind as bytes: quantised, sparse, nested and of other classes too."""

from __future__ import annotations

from typing import Any

import torch

from bench.errors import AdapterError

_COMPRESSED = {
    torch.sparse_csr: ("crow_indices", "col_indices"),
    torch.sparse_bsr: ("crow_indices", "col_indices"),
    torch.sparse_csc: ("ccol_indices", "row_indices"),
    torch.sparse_bsc: ("ccol_indices", "row_indices"),
}


def dense_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a strided tensor's values, in order."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    values: memoryview = plain.flatten().view(torch.uint8).numpy().data
    return values


def tensor_parts(tensor: torch.Tensor) -> tuple[str, list[Any]]:
    """Return a tensor's type and shape as text, and its parts: bytes, other tensors, plain values.

    Raises:
        AdapterError: it has no values, or they cannot be read.
    """
    shape = "nested" if tensor.is_nested else tuple(tensor.shape)
    about = f"tensor {tensor.dtype} {shape}"
    if tensor.is_meta:
        raise AdapterError(
            "a weight of the network is on the meta device, where it has no values; load the weights"
        )
    try:
        return about, _values(tensor.detach())
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        first = (str(error) or "no message").splitlines()[0]
        raise AdapterError(
            f"the values of a weight of type {type(tensor).__name__} cannot be read ({first}); "
            f"wrap the function that predicts with bench.wrap_predict(..., fingerprint=...)"
        ) from error


def _values(tensor: torch.Tensor) -> list[Any]:
    if hasattr(tensor, "__tensor_flatten__"):
        names, context = tensor.__tensor_flatten__()
        return [type(tensor).__qualname__, *(getattr(tensor, name) for name in names), context]
    if tensor.is_nested:
        return list(tensor.unbind())
    if tensor.is_quantized:
        return [tensor.int_repr(), *_scales(tensor)]
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce()
        return [tensor.indices(), tensor.values()]
    if tensor.layout in _COMPRESSED:
        return [*(getattr(tensor, name)() for name in _COMPRESSED[tensor.layout]), tensor.values()]
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    return [dense_bytes(tensor)]


def _scales(tensor: torch.Tensor) -> list[Any]:
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return [tensor.q_scale(), tensor.q_zero_point()]
    return [tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points(),
            tensor.q_per_channel_axis()]  # fmt: skip
