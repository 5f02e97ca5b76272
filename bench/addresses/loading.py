"""From an address to a model."""

from __future__ import annotations

from bench.addresses.address import SCHEMES, Address, data_of
from bench.addresses.networks import weights_alone
from bench.data.table import DATASETS
from bench.errors import BenchError, FactoryError
from bench.factories import in_short
from bench.registry import users_code
from bench.spec import Adapter


def load_address(name: str) -> Adapter:
    """Return the model at an address.

    Raises:
        SpecError: an address that cannot be understood, or that leads nowhere.
        PrerequisiteError: a file or package is missing, or a download fails.
        AdapterError: what is there is no model that can be attacked, or does not fit its data set.
        FactoryError: the library that makes it fails.
    """
    address, data = Address.read(name), DATASETS[data_of(name)]
    try:
        with users_code(), weights_alone():
            adapter: Adapter = SCHEMES[address.scheme].code().load(address, data)
            return adapter
    except BenchError as error:
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:  # anybody's code
        raise FactoryError(f"{name}: {in_short(error)}") from error
