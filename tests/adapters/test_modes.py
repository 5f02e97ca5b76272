"""What torch is told for a while."""

import subprocess
import sys
from contextlib import suppress

import pytest
import torch

from bench.adapters.modes import full_precision


def test_full_precision_is_for_a_while():
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    with suppress(ZeroDivisionError), full_precision():
        assert (cudnn.allow_tf32, cudnn.deterministic) == (False, True)
        raise ZeroDivisionError
    assert (cudnn.allow_tf32, cudnn.deterministic) == before


@pytest.mark.slow
@pytest.mark.parametrize("told", ["tf32", "ieee"])
def test_what_was_told_in_newer_words_is_put_back(told):
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("torch has no newer words")
    code = f"""
import torch
from bench.adapters.modes import full_precision

torch.backends.fp32_precision = torch.backends.cudnn.conv.fp32_precision = {told!r}
with full_precision():
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
assert torch.backends.cudnn.conv.fp32_precision == {told!r}
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # alone, since the words stay set
