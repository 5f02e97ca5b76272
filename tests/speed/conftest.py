"""The speed tests in full, or with `--tiny` one small pass of each, to see that they still run.

Each module's `TINY` has the sizes of the small pass, and bounds that every time meets.
"""


def pytest_addoption(parser):
    parser.addoption("--tiny", action="store_true", help="one small pass, whatever time it takes")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--tiny", default=False):
        for module in {item.module for item in items if hasattr(item.module, "TINY")}:
            for name, value in module.TINY.items():
                assert hasattr(module, name), f"{module.__name__} has no {name}"
                setattr(module, name, value)
