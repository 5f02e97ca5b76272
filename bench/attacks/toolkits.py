"""Which toolkits and packages are installed, and the commands that install what is missing.

Nothing here imports torch or a toolkit.
"""

from __future__ import annotations

import importlib.util

from bench.attacks.row import Attack
from bench.spec import Toolkit

#: For each toolkit the module to import and the argument for `pip install`; tests run with these versions.
_PACKAGES: dict[Toolkit, tuple[str, str]] = {
    "art": ("art", "adversarial-robustness-toolbox==1.20.1"),
    "foolbox": ("foolbox", "foolbox==3.3.4"),
    # It pins requests to a version of 2020 that it never imports; Crossfire requires its other packages.
    "torchattacks": ("torchattacks", "--no-deps torchattacks==3.5.1"),
    # It requires visdom, which fails to install and only draws its curves.
    "adv-lib": ("adv_lib", "--no-deps adv-lib==0.2.8"),
}

#: Toolkits that a user adds to Crossfire. Their attacks are left out where they are missing, but a suite that
#: names one of them cannot do without it.
ADDED: tuple[Toolkit, ...] = ("adv-lib",)


def installed(toolkit: Toolkit) -> bool:
    """Return whether a toolkit can be imported, without importing it."""
    return toolkit not in _PACKAGES or here(_PACKAGES[toolkit][0])


def here(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def remedy(attack: Attack, toolkit: Toolkit) -> str | None:
    """Return the command that installs what a toolkit lacks to run an attack; None if nothing."""
    if not installed(toolkit):
        return install_command(toolkit)
    needed = attack.packages.get(toolkit)
    return None if needed is None or here(needed) else f"pip install {needed}"


def shortfall(attack: Attack, toolkit: Toolkit) -> str | None:
    """Return what must be installed before a toolkit can run an attack, with the command; None if nothing."""
    command = remedy(attack, toolkit)
    if command is None:
        return None
    if not installed(toolkit):
        return f"{toolkit} is not installed; run: {command}"
    needed = attack.packages[toolkit]
    return f"{toolkit}'s {attack.name} needs {needed}, which is not installed; run: {command}"


def install_command(toolkit: Toolkit) -> str:
    """Return the command that installs a toolkit."""
    return f"pip install {'crossfire-bench' if toolkit == 'native' else _PACKAGES[toolkit][1]}"
