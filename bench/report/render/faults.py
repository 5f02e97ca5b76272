"""What a renderer cannot print, as one line that names the section."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import BenchError
from bench.registry import first_line


@contextmanager
def of_section(label: str) -> Iterator[None]:
    """Tell which section it is that cannot be printed.

    Raises:
        BenchError: something in the section is of another kind than its block says.
    """
    try:
        yield
    except BenchError:
        raise
    except Exception as error:  # a section is anybody's code
        raise BenchError(
            f"section {label!r} cannot be printed: {first_line(error)}; give each block what its "
            f"attributes in bench.report.blocks say"
        ) from error
