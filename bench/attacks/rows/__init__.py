"""One row per attack: its norms and toolkits, its parameters, what each toolkit refuses, and parity.

To add an attack, add a row here and a function of the same (name, norm) to the `ATTACKS` table of
each driver that has it; tests are generated from this table and then cover it.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.attacks.row import Attack, Parameter
from bench.attacks.rows import fixed, minimal, penalty, queries, sparse
from bench.spec import NORMS, Scalar, number

#: Every attack by its name; `bench.register_attack` adds those of users.
ATTACKS: dict[str, Attack] = {
    row.name: row for rows in (fixed, minimal, penalty, sparse, queries) for row in rows.ROWS
}


def _check_certify(values: Mapping[str, Scalar]) -> None:
    """Raise if so few copies vote that nothing can be certified, whatever the model."""
    from bench.adapters.certificates import check_enough, least_copies  # imports scipy

    alpha, n = number(values["alpha"]), int(values["n"])
    check_enough("certify", n, alpha, least_copies(alpha), "certified")


#: Certification of each image. Suites ask for it like an attack, but it is none: no driver has it.
CERTIFY = Attack(
    name="certify",
    norms={"l2": ("native",)},
    minimal=True,
    access="decision",
    rows="certify",
    parameters={
        "n0": Parameter("count", 100, least=1),
        "n": Parameter("count", 1000, least=1),
        "alpha": Parameter("amount", "0.001", below=1),
        "radii": Parameter("amounts", "none", later=True),
    },
    irreducible="it attacks nothing",
    check=_check_certify,
    instead="call model.certify(x, n0=..., n=..., alpha=...) or model.certify_at(x, radii, ...)",
    note="the radius within which a smoothed model keeps its decision: a class chosen from n0 noisy "
    "copies, its share bounded by n others, wrong with probability alpha; with radii, an image takes no more "
    "copies than decide these",
)

#: Images that others made, which are judged as an attack's are. No toolkit makes them, so no driver has it.
EXTERNAL = Attack(
    name="external",
    norms=dict.fromkeys(NORMS, ("native",)),
    access="none",
    parameters={"file": Parameter("file", "")},
    irreducible="its images are made already",
    instead="use bench judge, or ask for it in a suite file",
    note="adversarial images that others made, read from a file and judged as they are there",
)

#: Measurements that an `[[attacks]]` table may name although they attack nothing and no driver has them;
#: `bench.register_kind` adds more.
MEASUREMENTS: dict[str, Attack] = {CERTIFY.name: CERTIFY}
