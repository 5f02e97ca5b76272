"""Whether the attacks of a suite tell what its claims about perturbations mean, model by model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.attacks.catalogue import every_parameter
from bench.errors import SpecError
from bench.runner.claim_settings import fits
from bench.spec import ITSELF, AttackRequest, Claim, ModelRequest, Setting
from bench.trust.claim_pairs import matches


def check_settings(
    suite: str,
    claims: Iterable[Claim],
    models: Sequence[ModelRequest],
    attacks: Sequence[AttackRequest],
) -> None:
    """Check that the suite has one attack, not several, for each side of a claim about perturbations.

    Args:
        suite: its name.
        claims: its claims.
        models: all its models, including those filtered out.
        attacks: its attacks.

    Raises:
        SpecError: several attacks of which a claim does not say which it means.
    """
    for turn, claim in enumerate(claims, 1):
        for pair in claim.settings:
            for pattern, setting in zip((claim.left, claim.right or claim.left), pair, strict=True):
                for model in models:
                    if setting is not None and matches(pattern, model.title()):
                        _check_told_apart(setting, model, attacks, f"{suite}: claims[{turn}]")


def _check_told_apart(
    setting: Setting, model: ModelRequest, attacks: Sequence[AttackRequest], where: str
) -> None:
    own = {"fitted_on": ITSELF}
    fitting = [
        {
            name: own.get(name, value) if value == model.title() else value
            for name, value in every_parameter(setting.attack, dict(attack.spec.parameters)).items()
        }
        for attack in attacks
        if attack.is_on(model) and fits(attack, setting)
    ]
    names = dict.fromkeys(name for parameters in fitting for name in parameters)
    differing = [
        name for name in names if len({str(parameters.get(name)) for parameters in fitting}) > 1
    ]
    if differing:
        raise SpecError(
            f"{where}.with: {len(fitting)} attacks of the suite may be meant on {model.title()}; they "
            f"differ in {', '.join(differing)}, so say which"
        )
