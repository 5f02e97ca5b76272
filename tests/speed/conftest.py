"""The speed tests in full, or with `--tiny` one small pass of each, to see that they still run.

Each module's `TINY` has the sizes of the small pass, and bounds that every time meets. The small pass
takes random images for CIFAR-10, so that it runs where the data set is not.
"""

import os

import torch


class RandomCifar10:
    """Random images and labels, in the form in which torchvision has read CIFAR-10."""

    def __init__(self, root, train=True, download=False):
        generator = torch.Generator().manual_seed(int(train))
        count = 400
        self.data = torch.randint(
            0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=generator
        )
        self.targets = torch.randint(0, 10, (count,), generator=generator).tolist()


def pytest_addoption(parser):
    parser.addoption("--tiny", action="store_true", help="one small pass, whatever time it takes")


def pytest_configure(config):
    if config.getoption("--tiny", default=False):
        import torchvision.datasets

        torchvision.datasets.CIFAR10 = RandomCifar10
        os.environ["BENCH_DATA"] = os.devnull  # set, and never read


def pytest_collection_modifyitems(config, items):
    if config.getoption("--tiny", default=False):
        for module in {item.module for item in items if hasattr(item.module, "TINY")}:
            for name, value in module.TINY.items():
                assert hasattr(module, name), f"{module.__name__} has no {name}"
                setattr(module, name, value)
