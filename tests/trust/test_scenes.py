"""Each scene is one: the standard suite overstates the model, and the attack made by hand does not."""

import os
from dataclasses import replace

import pytest
from trust.scenes import DEFENCES, images, standard, withstood

#: Those whose standard suite and attack take well under a second each.
QUICK = ("quantised input", "scaled logits", "detached head")
FEW = 50

needs_photographs = pytest.mark.skipif("BENCH_DATA" not in os.environ, reason="needs BENCH_DATA")


def every_scene():
    for name, scene in DEFENCES.items():
        marks = [] if scene.data == "digits" else [needs_photographs]
        yield pytest.param(scene, id=name, marks=marks)


def share(robust):
    return 100 * robust.float().mean().item()


@pytest.mark.parametrize("name", QUICK)
def test_the_standard_suite_overstates_what_is_broken_by_hand(registry, tmp_path, name):
    scene = DEFENCES[name]
    assert standard.says(scene, tmp_path, FEW).withstood > 70
    assert share(withstood(scene, FEW)) <= 6


def test_an_image_outside_the_ball_breaks_nothing():
    scene = DEFENCES["scaled logits"]
    x, y = images(count=FEW)
    right = scene.build().predict(x).labels == y
    negative = replace(scene, handmade=lambda x, y: 1 - x)
    assert withstood(negative, FEW).tolist() == right.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("scene", every_scene())
def test_each_scene(registry, tmp_path, scene, capsys):
    """Print a line of the table: what the suite says, and what the attack made by hand leaves."""
    said, left = standard.says(scene, tmp_path), share(withstood(scene))
    with capsys.disabled():
        stated = "none" if said.headline is None else f"{said.headline:.1f}"
        print(
            f"\n{scene.name:36s} withstood {said.withstood:5.1f}  headline {stated:>5s}  by hand {left:4.1f}"
            f"  {said.flag}"
        )
    assert left <= scene.left + 3
    if scene.hides:
        assert said.withstood - left >= 15
    else:
        assert left <= said.withstood + 3
