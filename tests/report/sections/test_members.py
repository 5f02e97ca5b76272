"""Models made of others in a report: how they are combined, and how much each member counts."""

import build
import pytest
from build import cell
from matplotlib.figure import Figure

from bench.report.findings import find
from bench.report.measured import measure
from bench.report.sections.members import SECTION, draw_importances, frames, importances

WEIGHTS = {
    "digits/mlp": [0.01] * 9 + [0.11],
    "digits/cnn": [0.05, 0.23] + [0.065] * 8,
}
FOREST = {
    "how": "stacking", "members": list(WEIGHTS), "meta": "RandomForestClassifier", "leak": True,
    "fitted_on": "the members' own training images", "fit_images": 1297, "surface": "mean",
    "agreement": 0.9, "untied": 200, "images": 250,
}  # fmt: skip
BAGGING = {"how": "bagging", "members": list(WEIGHTS), "meta": None, "surface": "network"}


@pytest.fixture(scope="module")
def found():
    run = build.results(
        [cell("plain", "pgd", "0.1", (1,)), cell("forest", "pgd", "0.1", (1,)), cell("mean", "pgd", "0.1", ())],
        models={"forest": {"combined": FOREST, "importances": WEIGHTS},
                "mean": {"combined": BAGGING, "importances": None}},
    )  # fmt: skip
    return find(run, measure(run))


def test_a_row_says_how_members_are_combined_and_how_far_the_surface_agrees(found):
    combined = SECTION.make(found).blocks[0].frame
    assert combined["model"].tolist() == ["forest", "mean"]
    assert combined["agreement (%)"].tolist()[0].startswith("90.0 [")
    assert combined["images"].tolist() == ["200 of 250", "–"]
    assert combined["surface"].tolist() == ["mean", "network"]
    assert (
        combined["fitted on"][0]
        == "1297: the members' own training images; a leak: the members were trained on them"
    )


def test_a_table_says_how_much_each_member_counts(found):
    _, table, figure = SECTION.make(found).blocks
    assert table.frame.to_dict("records") == [
        {"member": "digits/mlp", "importance (%)": "20.0", "most important class (%)": "9 (11.0)",
         "least important class (%)": "0 (1.0)"},
        {"member": "digits/cnn", "importance (%)": "80.0", "most important class (%)": "1 (23.0)",
         "least important class (%)": "0 (5.0)"},
    ]  # fmt: skip
    assert figure.pdf.startswith(b"%PDF")


def test_the_file_has_every_class_of_every_member(found):
    frame = frames(found)["importances"]
    assert len(frame) == 20
    assert frame["importance"].sum() == pytest.approx(1)
    assert frame.iloc[-9].tolist() == ["forest", "digits", "digits/cnn", 1, 0.23]


def test_the_figure_has_a_panel_a_member_and_a_bar_a_class(found):
    part = importances(found.results)
    panels = Figure().subplots(1, 3)
    draw_importances(panels, part, ["mlp", "cnn"])
    heights = [[bar.get_height() for bar in panel.patches] for panel in panels]
    assert heights[0] == pytest.approx([1] * 9 + [11])
    assert heights[1][1] == pytest.approx(23)
    assert [panel.get_title() for panel in panels[:2]] == ["mlp", "cnn"]
    assert not panels[2].get_visible()


def test_a_run_without_such_models_has_no_such_section():
    run = build.results([cell("plain", "pgd", "0.1", (1,))])
    plain = find(run, measure(run))
    assert SECTION.make(plain) is None
    assert frames(plain) == {}
