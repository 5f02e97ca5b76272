"""The nouns of Crossfire as frozen dataclasses, and the columns of a result row.

Nothing here imports torch at run time, so that the command line can talk about models, attacks
and suites without loading it.
"""

from bench.spec.attacks import (
    AttackSpec,
)
from bench.spec.cells import (
    Cell,
    CraftedOn,
    FittedOn,
)
from bench.spec.columns import (
    COLUMNS,
    ROW,
    SIZES,
    Column,
    ColumnType,
)
from bench.spec.kinds import (
    ATTACKING,
    FIXED,
    MINIMAL,
    ROW_KINDS,
    Measurement,
    RowKind,
    measuring,
    predicting,
    row_kind_named,
)
from bench.spec.models import (
    Adapter,
    Certificate,
    Certifier,
    ModelName,
    ModelSpec,
    Prediction,
    Random,
    configuration,
)
from bench.spec.numbers import (
    eps_text,
    number,
    scalar,
    whole,
)
from bench.spec.substitutes import (
    Substitute,
    SubstituteName,
)
from bench.spec.suites import (
    AttackRequest,
    Claim,
    ImageSet,
    ModelRequest,
    Setting,
    Suite,
)
from bench.spec.transfers import transfer_source
from bench.spec.words import (
    BLACK_BOX_SURFACE,
    EXPECTED_SURFACE,
    GOALS,
    ITSELF,
    NOISELESS_SURFACE,
    NORMS,
    ONE_DRAW_SURFACE,
    PLAIN_SURFACES,
    TOOLKITS,
    WHOLE_MODEL_SURFACE,
    Count,
    Expected,
    Figure,
    Goal,
    Loss,
    Norm,
    Scalar,
    Toolkit,
)

__all__ = [
    "ATTACKING",
    "BLACK_BOX_SURFACE",
    "COLUMNS",
    "EXPECTED_SURFACE",
    "FIXED",
    "GOALS",
    "ITSELF",
    "MINIMAL",
    "NOISELESS_SURFACE",
    "NORMS",
    "ONE_DRAW_SURFACE",
    "PLAIN_SURFACES",
    "ROW",
    "ROW_KINDS",
    "SIZES",
    "TOOLKITS",
    "WHOLE_MODEL_SURFACE",
    "Adapter",
    "AttackRequest",
    "AttackSpec",
    "Cell",
    "Certificate",
    "Certifier",
    "Claim",
    "Column",
    "ColumnType",
    "Count",
    "CraftedOn",
    "Expected",
    "Figure",
    "FittedOn",
    "Goal",
    "ImageSet",
    "Loss",
    "Measurement",
    "ModelName",
    "ModelRequest",
    "ModelSpec",
    "Norm",
    "Prediction",
    "Random",
    "RowKind",
    "Scalar",
    "Setting",
    "Substitute",
    "SubstituteName",
    "Suite",
    "Toolkit",
    "configuration",
    "eps_text",
    "measuring",
    "number",
    "predicting",
    "row_kind_named",
    "scalar",
    "transfer_source",
    "whole",
]
