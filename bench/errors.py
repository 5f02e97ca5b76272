"""Every error a user can cause, with the exit code the command line gives it.

A message is one line: what is wrong, which value, what to do next.
"""

from __future__ import annotations

#: What `bench` exits with when it is interrupted.
INTERRUPTED = 130


class BenchError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what `bench` exits with."""

    exit_code = 1


class SpecError(BenchError):
    """A name, a word, a suite file or a number that cannot be understood."""

    exit_code = 2


class UnknownName(SpecError):
    """A name of which there is nothing."""


class KindError(SpecError):
    """A function of a user's kind of rows fails or returns something it must not."""


class DataError(SpecError):
    """A function that reads a user's data set fails or returns something it must not."""


class UnsupportedAttack(SpecError):
    """An attack, norm or word that the named toolkit does not have or cannot honour."""


class PrerequisiteError(BenchError):
    """Something is missing (data, weights, a toolkit); the message ends with the command that helps."""

    exit_code = 3


class AdapterError(BenchError):
    """A model that breaks the adapter's contract."""


class FactoryError(AdapterError):
    """The function that makes a user's model fails or gives something that is no model."""

    exit_code = 2


class FamilyError(FactoryError):
    """A function of a user's family of models fails or returns something it must not."""


class AttackError(BenchError):
    """A toolkit failed while attacking; the cell fails, the run goes on."""


class WorkerError(BenchError):
    """A process that computes cells for a run died."""


class StoreError(BenchError):
    """Results that cannot be written or read; always fatal."""


class TrainingFailed(BenchError):
    """A training that cannot come to anything; the message names the epoch and the reason."""
