from types import SimpleNamespace

import pytest

from bench.errors import StoreError
from bench.report.render import pdf


def test_no_room_for_temporary_files_is_said_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    origin = SimpleNamespace(suite="s", title="S", started="2025-11-20T22:48:00+00:00")
    document = SimpleNamespace(origin=origin, cells={}, sections=())
    with pytest.raises(StoreError, match=r"^the report of s needs a folder .* with TMPDIR$"):
        pdf.render(document)
