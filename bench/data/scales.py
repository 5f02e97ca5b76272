"""The scale of the values of images that users hand over, in arrays and files: 0 to 1, or 0 to 255."""

from __future__ import annotations

from bench.errors import SpecError

#: Values of images in [0, 1] may lie so far outside, which whoever judges them then says of each.
_STRAY = 0.5

#: Images of 0 to 255 have a value of at least this; without one they were normalised.
_LEAST_TOP = 16

#: What is said of images of 0 to 255 in floats, which are read all the same.
DIVIDED = "values up to 255 were divided by 255"


def top_of(name: str, low: float, high: float, *, whole: bool) -> int:
    """Return which value of images stands for 1: 1 or 255.

    Args:
        name: of the images, for errors.
        low: the smallest of their finite values.
        high: the largest.
        whole: whether they are of a type of whole numbers.

    Raises:
        SpecError: their values are of neither scale, or are whole numbers of [0, 1].
    """
    if whole and high <= 1:
        raise SpecError(
            f"{name}: whole numbers from {low:g} to {high:g}; were images of [0, 1] cut off? save them as float32"
        )
    if not whole and low >= -_STRAY and high <= 1 + _STRAY:
        return 1
    if low < -_STRAY or high > 255 + _STRAY or (not whole and high < _LEAST_TOP):
        raise SpecError(
            f"{name}: values from {low:.4g} to {high:.4g} are neither of [0, 1] nor of 0 to 255; undo the "
            f"normalisation before they are saved"
        )
    return 255
