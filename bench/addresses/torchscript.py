"""`torchscript:FILE`: a scripted or traced module. Such a file is code: it is loaded only where a user names it."""

from __future__ import annotations

import warnings
from typing import Any

from bench.addresses.address import Address
from bench.addresses.networks import Preprocessing, existing_file, network_model
from bench.data.table import Dataset
from bench.errors import AdapterError
from bench.spec import Adapter


def load(address: Address, data: Dataset) -> Adapter:
    """Return a model; `mean` and `std` say how images are normalised, if the module does not do that itself.

    Raises:
        PrerequisiteError: the file is missing.
        AdapterError: it is no such file, or its module is no model for this data set.
    """
    import torch

    jit: Any = torch.jit

    file = existing_file(address.place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch.jit.load is deprecated
            module = jit.load(file, map_location="cpu")
    except RuntimeError as error:
        raise AdapterError(
            f"{file.name} is no TorchScript file; write one with torch.jit.script(net).save(FILE), or name "
            f"weights alone with state:FILE?arch=..."
        ) from error
    return network_model(module, data, Preprocessing.read(address.settings))
