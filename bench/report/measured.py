"""All figures of a run, each computed once."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bench.measure.access import access_curves
from bench.measure.attack_rates import attack_rates
from bench.measure.certified import certificates, certified_bounds, certified_curve
from bench.measure.curves import curve
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.perturbations import perturbations
from bench.measure.radius import critical_eps
from bench.measure.transfer import transfer
from bench.store.results import Results
from bench.trust.added_attacks import added_attacks
from bench.trust.checks.parity import parity
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.headline_trust import compared_with_trust, rates_with_trust, with_trust
from bench.trust.run_findings import run_findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of a run as `bench.measure` and `bench.trust` return them.

    Attributes:
        outcomes: what the others are computed from: of the images that the suite asks for. Claims and
            comparisons are of all images.
        of_suite: the same of the suite's own attacks alone, where sides are compared.
    """

    outcomes: Outcomes
    of_suite: Outcomes
    headline: pd.DataFrame
    curve: pd.DataFrame
    attacks: pd.DataFrame
    access: pd.DataFrame
    perturbations: pd.DataFrame
    parity: pd.DataFrame
    transfer: pd.DataFrame
    claims: pd.DataFrame
    comparisons: pd.DataFrame
    radii: pd.DataFrame
    certificates: pd.DataFrame
    certified: pd.DataFrame
    certified_bounds: pd.DataFrame
    checks: pd.DataFrame
    added: pd.DataFrame


def measure(results: Results) -> Measured:
    """Return the figures of a run; with hundreds of cells this takes seconds."""
    asked = results.as_asked()
    outcomes = Outcomes(asked)
    own = asked.without_added()
    of_suite = outcomes if own is asked else Outcomes(own)
    rates, radii = attack_rates(outcomes), critical_eps(asked)
    every = of_suite if asked is results else Outcomes(results.without_added())
    checks = run_findings(outcomes)
    judged = with_trust(headline(outcomes), outcomes, checks)
    compared = compared_with_trust(comparisons(every, radii, of_suite), judged)
    return Measured(
        outcomes=outcomes,
        of_suite=of_suite,
        headline=judged,
        curve=curve(outcomes),
        attacks=rates_with_trust(rates, judged),
        access=access_curves(outcomes),
        perturbations=perturbations(outcomes),
        parity=parity(asked),
        transfer=transfer(asked, rates),
        claims=claims(results, compared),
        comparisons=compared,
        radii=radii,
        certificates=certificates(outcomes),
        certified=certified_curve(outcomes),
        certified_bounds=certified_bounds(outcomes),
        checks=checks,
        added=added_attacks(outcomes, judged),
    )
