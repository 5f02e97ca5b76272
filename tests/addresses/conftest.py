"""A cache of huggingface_hub of the test's own, without a network."""

import pytest


@pytest.fixture
def hf_cache(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra hf")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hf"
