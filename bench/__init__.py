"""Crossfire: how hard an image classifier is to fool, and how far each figure can be trusted.

Everything public is a name of this module; torch and the toolkits are imported at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench.version import __version__

if TYPE_CHECKING:
    from bench.adapters.ensemble import wrap_ensemble as wrap_ensemble
    from bench.adapters.network import wrap as wrap
    from bench.adapters.predict_only import wrap_predict as wrap_predict
    from bench.api import attack as attack
    from bench.api import load_data as load_data
    from bench.api import run as run
    from bench.attacked import Attacked as Attacked
    from bench.attacks.users import register_attack as register_attack
    from bench.comparison import compare as compare
    from bench.data.users import register_data as register_data
    from bench.finished_run import Run as Run
    from bench.model_names import register_family as register_family
    from bench.model_names import register_model as register_model
    from bench.report.rules import SectionRule as SectionRule
    from bench.report.rules import register_section as register_section
    from bench.runner.kinds import Kind as Kind
    from bench.runner.kinds import register_kind as register_kind
    from bench.single_models import judge as judge
    from bench.single_models import run_model as run_model
    from bench.substitute import train_substitute as train_substitute
    from bench.suite_files import register_study as register_study
    from bench.train.families import Family as Family
    from bench.train.features.users import wrap_sklearn as wrap_sklearn
    from bench.train.recipe import Recipe as Recipe
    from bench.trust.checks.registry import Check as Check
    from bench.trust.checks.registry import Finding as Finding
    from bench.trust.checks.registry import register_check as register_check
    from bench.zoo import load_model as load_model
    from bench.zoo import load_trunk as load_trunk


_PUBLIC = {
    "Attacked": "bench.attacked",
    "Check": "bench.trust.checks.registry",
    "Family": "bench.train.families",
    "Finding": "bench.trust.checks.registry",
    "Kind": "bench.runner.kinds",
    "Recipe": "bench.train.recipe",
    "Run": "bench.finished_run",
    "SectionRule": "bench.report.rules",
    "attack": "bench.api",
    "compare": "bench.comparison",
    "judge": "bench.single_models",
    "load_data": "bench.api",
    "load_model": "bench.zoo",
    "load_trunk": "bench.zoo",
    "register_attack": "bench.attacks.users",
    "register_check": "bench.trust.checks.registry",
    "register_data": "bench.data.users",
    "register_family": "bench.model_names",
    "register_kind": "bench.runner.kinds",
    "register_model": "bench.model_names",
    "register_section": "bench.report.rules",
    "register_study": "bench.suite_files",
    "run": "bench.api",
    "run_model": "bench.single_models",
    "train_substitute": "bench.substitute",
    "wrap": "bench.adapters.network",
    "wrap_ensemble": "bench.adapters.ensemble",
    "wrap_predict": "bench.adapters.predict_only",
    "wrap_sklearn": "bench.train.features.users",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
