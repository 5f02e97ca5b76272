import build
import pytest

from bench.data.corruptions import BENCHMARK
from bench.report.blocks import Table, Text
from bench.report.findings import find
from bench.report.measured import measure
from bench.report.sections.corruptions import SECTION


@pytest.fixture
def found():
    """Return a function that makes findings on corrupted images of which a model gets some wrong."""

    def found(data, images, wrong=(), **protocol):
        cells = [build.cell("m", "noise", "0.1", [])]
        results = build.results(
            cells, images=images, wrong={"m": wrong}, models={"m": {"data": data}}
        )
        results.protocol.update(protocol)
        return find(results, measure(results))

    return found


def test_each_corruption_and_severity_has_its_error(found):
    # Two images in 75 versions each; wrong are the first in its first version, and both in their last.
    findings = found("cifar10-c:nowhere", 150, wrong=[0, 74, 149])
    (table,) = SECTION.make(findings).blocks
    assert isinstance(table, Table)
    rows = {row[1]: list(row[2:]) for row in table.frame.itertuples(index=False)}
    assert list(rows) == [*(name.replace("_", " ") for name in BENCHMARK), "all"]
    assert rows["gaussian noise"] == ["50.0", "0.0", "0.0", "0.0", "0.0", "10.0"]
    assert rows["jpeg compression"] == ["0.0", "0.0", "0.0", "0.0", "100.0", "20.0"]
    assert rows["fog"] == ["0.0"] * 6
    assert rows["all"][-1].startswith("2.0 [")
    frame = SECTION.frames(findings)["corruption-errors"]
    assert len(frame) == 75
    assert frame["error"].sum() == 1.5
    assert set(frame["images"]) == {2}


def test_one_severity_and_one_corruption(found):
    (table,) = SECTION.make(found("cifar10-c:nowhere?severity=5", 30, wrong=[15])).blocks
    assert list(table.frame.columns)[2:] == ["severity 5", "mean"]
    assert table.frame.iloc[0, 2] == "50.0"
    (table,) = SECTION.make(found("cifar10-c:nowhere?corruption=fog", 10)).blocks
    assert len(table.frame) == 2


@pytest.mark.parametrize(("images", "protocol", "words"), [
    (74, {}, "all versions of one image"), (150, {"order": "random 0"}, "order of the file"),
])  # fmt: skip
def test_why_there_is_no_mean_is_said(found, images, protocol, words):
    findings = found("cifar10-c:nowhere", images, **protocol)
    (text,) = SECTION.make(findings).blocks
    assert isinstance(text, Text)
    assert words in text.text
    assert SECTION.frames(findings) == {}


@pytest.mark.parametrize("data", ["cifar10", "cifar10-c:nowhere?corruption=fog&severity=3"])
def test_other_runs_have_no_such_section(found, data):
    assert SECTION.make(found(data, 75)) is None
