"""One row an attack: its norms and toolkits, its words, what each toolkit refuses, and parity.

To add an attack, add a row here and a function of the same (name, norm) to the `ATTACKS` table of
each driver that has it; the tests that are made from this table then cover it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bench.attacks.row import Attack
from bench.attacks.rows import fixed, minimal, queries, sparse

ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {row.name: row for row in (*fixed.ROWS, *minimal.ROWS, *sparse.ROWS, *queries.ROWS)}
)
