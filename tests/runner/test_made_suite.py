"""The suite that is made for a single model: which attacks it has, where it is kept, and what it never writes over."""

import pytest

from bench.errors import SpecError
from bench.runner.made_suite import Evaluation, make_suite
from bench.runner.suite import read_suite
from bench.spec import number


def made(tmp_path, **changes):
    fields = {"model": "digits/cnn", "data": "digits", "norm": "linf", "eps": ("0.1",), "gradient": True}  # fmt: skip
    return make_suite(Evaluation(**{**fields, **changes}), tmp_path, "bench run ...")


def attacks(made):
    return [
        (attack.spec.name, attack.spec.eps, attack.toolkits)
        for attack in read_suite(made.path, made.text).attacks
    ]


@pytest.mark.parametrize(
    ("norm", "gradient", "expected"),
    [
        ("linf", True, [("pgd", "foolbox"), ("autoattack", "torchattacks")]),
        ("l2", True, [("pgd", "foolbox"), ("autoattack", "torchattacks")]),
        ("l1", True, [("fab-t", "torchattacks"), ("fmn", "foolbox"), ("ead", "foolbox")]),
        ("l0", True, [("one-pixel", "native"), ("sparsefool", "native"), ("fmn", "foolbox")]),
        ("linf", False, [("square", "torchattacks"), ("hopskipjump", "foolbox")]),
        ("l0", False, [("one-pixel", "native")]),
    ],
)  # fmt: skip
def test_attacks_fit_the_norm_the_images_and_what_the_model_can_be_asked(
    tmp_path, norm, gradient, expected
):
    eps = "3" if norm == "l0" else "0.5"
    found = attacks(made(tmp_path, norm=norm, gradient=gradient, eps=(eps,)))
    assert [(name, *toolkits) for name, _, toolkits in found] == expected
    radii = {name: radius for name, radius, _ in found}
    nearest = {"fmn", "ead", "sparsefool", "hopskipjump"}
    for name, radius in radii.items():  # an attack that looks for the nearest image takes none
        assert (radius is None) if name in nearest else number(radius) == float(eps), name


def test_two_classes_leave_out_what_needs_four(tmp_path):
    from PIL import Image

    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            folder = tmp_path / "pets" / split / kind
            folder.mkdir(parents=True)
            for turn in range(3):
                Image.new("RGB", (32, 32), (turn * 20, 0, 0)).save(folder / f"{turn}.png")
    suite = made(tmp_path, data=f"folder:{tmp_path / 'pets'}?size=32")
    read = read_suite(suite.path, suite.text)
    (auto,) = [attack.spec for attack in read.attacks if attack.spec.name == "autoattack"]
    assert auto.parameter("apgd_t") is False
    assert read.images[0].count is None  # the split has fewer images than would be attacked


def test_several_radii_make_an_attack_each(tmp_path):
    found = attacks(made(tmp_path, eps=("2/255", "8/255")))
    assert [(name, eps) for name, eps, _ in found] == [
        ("pgd", "2/255"), ("pgd", "8/255"), ("autoattack", "2/255"), ("autoattack", "8/255"),
    ]  # fmt: skip


def test_names_tell_models_apart_and_fit_a_file_system(tmp_path):
    short = made(tmp_path, model="timm:resnet18.a1_in1k?data=digits", eps=("8/255",))
    assert short.path == tmp_path / "suites" / "timm-resnet18-a1-in1k-data-digits-linf-8-255.toml"
    long = [made(tmp_path, model=f"onnx:{'a/' * 200}{end}.onnx?data=digits") for end in "xy"]
    assert len({suite.path.name for suite in long}) == 2
    assert all(len(suite.path.name) < 100 for suite in long)


def test_a_name_with_quotes_and_backslashes_is_read_back(tmp_path):
    odd = 'onnx:a "b"\\é.onnx?data=digits'
    suite = made(tmp_path, model=odd)
    assert [model.name for model in read_suite(suite.path, suite.text).models] == [odd]


def test_nothing_is_written_and_a_file_that_says_the_same_is_used_again(tmp_path):
    first = made(tmp_path)
    assert not first.kept
    assert not first.path.exists()
    first.path.parent.mkdir()
    first.path.write_text("# another comment\n" + first.text)
    assert made(tmp_path).kept
    assert made(tmp_path).path == first.path


def test_a_file_that_was_edited_is_left_and_the_suite_gets_another_name(tmp_path):
    first = made(tmp_path)
    first.path.parent.mkdir()
    first.path.write_text(first.text.replace("images = 200", "images = 10"))
    second = made(tmp_path)
    assert second.path.name == "digits-cnn-linf-0-1-2.toml"
    assert not second.kept
    second.path.write_text(second.text)
    assert made(tmp_path) == type(second)(second.path, second.text, kept=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"eps": ("a lot",)}, "--eps: 'a lot' is not a number or a fraction"),
        ({"eps": ("3",)}, "eps=3 is out of range"),
        ({"norm": "l1", "gradient": False}, "digits/cnn: no l1 attack is known to be strong on a model that has no gradient"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_said(tmp_path, changes, says):
    with pytest.raises(SpecError, match=says.replace("(", r"\(")):
        made(tmp_path, **changes)
