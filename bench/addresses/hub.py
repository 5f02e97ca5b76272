"""`hub:OWNER/REPO:ENTRY`: a network that an entry of `hubconf.py` in a repository on GitHub makes.

That file is code of others: it is downloaded and run only where a user names it.
"""

from __future__ import annotations

from typing import Any

from bench.addresses.address import Address
from bench.addresses.networks import Preprocessing, downloading, network_model
from bench.data.table import Dataset
from bench.errors import AdapterError, SpecError
from bench.registry import unknown
from bench.spec import Adapter
from bench.spec.numbers import scalar

_PREPROCESSING = ("mean", "std", "size")

_REMEDY = "where there is a network write the same address, and copy the folder hub of torch.hub.get_dir() here"


def load(address: Address, data: Dataset) -> Adapter:
    """Return a model; settings other than `mean`, `std` and `size` are arguments of the entry.

    Without one of these it is called with `pretrained=True`.

    Raises:
        SpecError: no such form of address, or no such entry.
        PrerequisiteError: the repository cannot be downloaded.
        AdapterError: the entry returns no network.
    """
    import torch.hub
    from torch import nn

    hub: Any = torch.hub

    repository, colon, entry = address.place.rpartition(":")
    if not colon or repository.count("/") != 1:
        raise SpecError("write hub:OWNER/REPO:ENTRY, or hub:OWNER/REPO:BRANCH:ENTRY")
    given: dict[str, Any] = {
        name: scalar(value)
        for name, value in address.settings.items()
        if name not in _PREPROCESSING
    }
    with downloading(_REMEDY):
        entries = hub.list(repository, trust_repo=True, verbose=False)
    if entry not in entries:
        raise SpecError(str(unknown(f"entry of {repository}", entry, entries)))
    with downloading(_REMEDY):
        net = hub.load(
            repository, entry, trust_repo=True, verbose=False, **(given or {"pretrained": True})
        )
    if not isinstance(net, nn.Module):
        raise AdapterError(f"entry {entry} returns a {type(net).__name__}, not a network")
    return network_model(net, data, Preprocessing.read(address.settings))
