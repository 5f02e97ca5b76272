"""The catalogue as test cases: every attack, norm and toolkit that there is."""

from __future__ import annotations

from bench.attacks import catalogue
from bench.attacks.rows import ATTACKS
from bench.spec import AttackSpec, Norm, Scalar, Toolkit

EVERY: list[tuple[str, Norm, Toolkit]] = [
    (name, norm, toolkit)
    for name, attack in ATTACKS.items()
    for norm, toolkits in attack.norms.items()
    for toolkit in toolkits
]
FITTED = [case for case in EVERY if catalogue.is_fitted(case[0])]
CASES = [case for case in EVERY if case not in FITTED]
MINIMAL = [case for case in CASES if catalogue.is_minimal(case[0])]
NOISE = [case for case in CASES if case[0] == "noise"]
SEARCH = [case for case in CASES if case[0] == "square"]
PIXELS = [case for case in CASES if case[0] == "one-pixel"]
WALK = [case for case in CASES if case[0] in ("hopskipjump", "boundary")]
SPATIAL = [case for case in CASES if case[0] == "spatial"]
GRADIENT = [case for case in CASES if case not in [*MINIMAL, *NOISE, *SEARCH, *PIXELS]]
EPS = {"linf": "0.1", "l2": "0.5", "l1": "3", "l0": "3"}

_QUICK: dict[str, dict[str, Scalar]] = {
    "cw": {"steps": 40, "step_size": 0.05},
    "deepfool": {"steps": 10},
    "sparsefool": {"steps": 10},
    "adaptive": {"passes": 200},
    "apgd-ce": {"steps": 20},
    "apgd-dlr": {"steps": 20},
    "ddn": {"steps": 40},
    "fab": {"steps": 10},
    "fab-t": {"steps": 10, "targets": 3},
    "apgd-t": {"steps": 10, "targets": 3},
    "autoattack": {"steps": 5, "queries": 20},
    "cascade": {"members": "apgd-ce steps=20, square queries=20"},
    "worst-case-fast": {"steps": 5, "restarts": 1, "targets": 3, "queries": 20},
    "hopskipjump": {"queries": 150, "gradient_queries": 20},
    "boundary": {"queries": 100},
    "square": {"queries": 100},
    "jsma": {"gamma": 0.5},
    "one-pixel": {"population": 20, "generations": 5},
    "salt-and-pepper": {"steps": 100},
    "ead": {"c": 1, "steps": 20, "step_size": 0.05, "search_steps": 3},
    "ead-en": {"c": 1, "steps": 20, "step_size": 0.05, "search_steps": 3},
    "fmn": {"steps": 30},
    "l-bfgs": {"steps": 5, "search_steps": 4},
    "fgsm-radius": {"scan": 20},
    "ifgsm-radius": {"step_size": 0.02, "steps": 30},
    "brendel-bethge": {"steps": 5, "step_size": 0.2},
    "superdeepfool": {"rounds": 5, "steps": 10},
    "trust-region": {"steps": 30, "region": 0.02},
    "pdpgd": {"steps": 40, "weight": 1, "weight_step": 0.3},
    "pdgd": {"steps": 40, "weight": 1, "weight_step": 0.3},
    "alma": {"steps": 40},
    "cw-linf": {"c": 0.1, "steps": 10, "step_size": 0.1, "shrink": 0.7},
    "sigma-zero": {"steps": 30},
    "vfga": {"steps": 40, "samples": 4},
}


def quick(name: str, norm: Norm, eps: str | None = None, **words: Scalar) -> AttackSpec:
    """Return an attack with few steps; unless another eps is given, at one that suits small digits."""
    budget = None if catalogue.is_minimal(name) else eps or EPS[norm]
    return catalogue.resolve(name, norm, budget, {**_QUICK.get(name, {}), **words})
