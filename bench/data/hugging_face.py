"""Whether the hub of Hugging Face answers. Its own package tries five times, for half a minute, before it says no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.registry import first_line


def why_no_answer(url: str) -> str:
    """Return why the hub does not answer when it is asked once for a file; empty if it answers, whatever it says.

    Args:
        url: of the file, as `huggingface_hub.hf_hub_url` gives it.
    """
    from huggingface_hub import errors, get_hf_file_metadata

    try:
        get_hf_file_metadata(url)
    except errors.HfHubHTTPError:
        return ""
    except Exception as error:  # of the library of the web that its version uses
        return first_line(error)
    return ""


@contextmanager
def from_cache_alone() -> Iterator[None]:
    """Within the context huggingface_hub and datasets take what their caches hold, and ask no server."""
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
