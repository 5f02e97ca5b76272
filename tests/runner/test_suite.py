import fnmatch
from pathlib import Path

import pytest

import bench
from bench.attacks.rows import ATTACKS
from bench.errors import PrerequisiteError, SpecError
from bench.runner.suite import load_suite
from bench.suite_files import known_suites, suite_name

GOOD = """\
title  = "T"
data   = "digits"

[[models]]
name = "digits/mlp"
width = 3

[[attacks]]
name      = "pgd"
norm      = ["linf", "l2"]
eps       = ["2/255", 0.5]
steps     = [5, 10]
toolkits  = ["art", "foolbox"]
"""


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_list_multiplies_and_defaults_are_written_out(tmp_path):
    suite = load_suite(written(tmp_path, GOOD))
    assert (suite.name, suite.images[0].split, suite.images[0].count, suite.seed) == (
        "mine",
        "test",
        200,
        0,
    )
    assert suite.models[0].options == (("width", 3),)
    titles = [(a.spec.title(), a.spec.parameter("steps")) for a in suite.attacks]
    assert len(titles) == len(set(titles)) == 8
    assert ("pgd linf 2/255", 5) in titles
    assert ("pgd l2 0.5", 10) in titles
    assert {a.toolkits for a in suite.attacks} == {("art", "foolbox")}
    assert all(a.spec.parameter("random_start") is True for a in suite.attacks)


def test_all_images(tmp_path):
    text = GOOD.replace('data   = "digits"', 'data = "digits"\nimages = "all"')
    assert load_suite(written(tmp_path, text)).images[0].count is None


def test_any_split_that_the_data_set_has_may_be_attacked(tmp_path):
    text = GOOD.replace('data   = "digits"', 'data = "flowers17"\nsplit = "validation"')
    assert load_suite(written(tmp_path, text)).images[0].split == "validation"


def test_a_folder_of_class_folders_is_a_data_set(tmp_path):
    for name in "ab":
        (tmp_path / "birds" / name).mkdir(parents=True)
        (tmp_path / "birds" / name / "1.png").write_bytes(b"")
    named = f"folder:{tmp_path / 'birds'}?size=16"
    text = GOOD.replace('data   = "digits"', f'data = "{named}"\nsplit = "test"')
    assert load_suite(written(tmp_path, text)).images[0].data == named
    text = text.replace("birds", "nowhere")
    with pytest.raises(PrerequisiteError, match="nowhere is no folder"):
        load_suite(written(tmp_path, text))


@pytest.mark.parametrize(("old", "new", "words"), [
    ('title  = "T"', 'title  = ', r"mine\.toml: broken TOML: .*line 1"),
    ('title  = "T"\n', "", r"mine\.toml: title: this field is missing"),
    ('title  = "T"', 'title = ""', r"title: .*at least 1 character"),
    ("[[models]]", "[models]", r"models: this is one table; write \[\[models\]\] for each"),
    ('title  = "T"', 'title = "T"\nclaims = ["c"]', r"claims\[1\]: 'c' is no table; write \[\[claims\]\]"),
    ('title  = "T"', 'title = "T"\ntitel = "T"', r"titel: no such field"),
    ('data   = "digits"', 'data = "digit"', r"data: no data set named 'digit'; did you mean digits"),
    ('data   = "digits"', 'data = "digits"\nimages = 0', r"images: .*\(it says 0\)"),
    ('data   = "digits"', 'data = "digits"\nsplit = "val"', r"split: digits has no split 'val'; it has train, test"),
    ('name      = "pgd"', 'name = "pdg"', r"attacks\[1\]: no attack named 'pdg'; did you mean pdgd, .*pgd"),
    ('norm      = ["linf", "l2"]', 'norm = "l3"', r"attacks\[1\]\.norm: .*'l3'"),
    ('norm      = ["linf", "l2"]', "", r"attacks\[1\]\.norm: this field is missing"),
    ("eps       = [\"2/255\", 0.5]", 'eps = "two"', r"attacks\[1\]: pgd: eps.*'two'"),
    ("eps       = [\"2/255\", 0.5]", "eps = 8", r"attacks\[1\]: pgd: eps=8 is out of range"),
    ("steps     = [5, 10]", "stepz = 5", r"attacks\[1\]: no parameter of pgd named 'stepz'.*steps"),
    ("steps     = [5, 10]", "steps = 0", r"attacks\[1\]: pgd: steps: 0 is too small"),
    ('toolkits  = ["art", "foolbox"]', 'toolkits = ["fool"]', r"attacks\[1\]\.toolkits\[1\]"),
    ("width = 3", "width = [[3]]", r"models\[1\]\.width: \[3\] is not a number"),
    ("width = 3", "width = []", r"models\[1\]\.width: an empty list; write a value"),
    ("steps     = [5, 10]", "steps = []", r"attacks\[1\]\.steps: an empty list; write a value"),
    ('norm      = ["linf", "l2"]', "norm = []", r"attacks\[1\]\.norm: an empty list"),
    ("eps       = [\"2/255\", 0.5]", "eps = []", r"attacks\[1\]\.eps: an empty list"),
    ('toolkits  = ["art", "foolbox"]', "toolkits = []", r"attacks\[1\]\.toolkits: an empty list"),
    ('name      = "pgd"', 'name = ["pgd", "square"]\nsurfaces = ["substitute-300"]', "square asks the model itself"),
    ('toolkits  = ["art", "foolbox"]', "surfaces = []", r"attacks\[1\]\.surfaces: an empty list"),
    ('toolkits  = ["art", "foolbox"]', "models = []", r"attacks\[1\]\.models: an empty list"),
    ('name      = "pgd"', "name = []", r"attacks\[1\]\.name: an empty list"),
    ('data   = "digits"', "data = []", r"data: an empty list"),
    ('data   = "digits"', 'data = "digits"\nseed = [0, 1]', r"seed: one whole number, not a list; .*--seed N"),
    ("steps     = [5, 10]", f"steps = {10**12}", r"steps: 1000000000000 is too large"),
    ("eps       = [\"2/255\", 0.5]", f"eps = {10**400}", r"eps: a number of that size"),
    ("eps       = [\"2/255\", 0.5]", 'eps = "1e99999999"', r"eps: '1e99999999' is not a number"),
    ("eps       = [\"2/255\", 0.5]", 'eps = "²"', r"eps: '²' is not a number"),
    ("steps     = [5, 10]", 'targeted = "²"', r"targeted: '²' is neither one of"),
])  # fmt: skip
def test_a_wrong_file_names_table_and_field(tmp_path, old, new, words):
    assert old in GOOD
    with pytest.raises(SpecError, match=words) as caught:
        load_suite(written(tmp_path, GOOD.replace(old, new)))
    assert "\n" not in str(caught.value)


def test_an_unknown_suite_names_the_nearest():
    with pytest.raises(SpecError, match="no suite named 'cifar'; did you mean cifar10"):
        load_suite("cifar")
    with pytest.raises(SpecError, match="no such file"):
        load_suite("nowhere.toml")


@pytest.mark.parametrize("name", known_suites())
def test_known_suites_are_sound(name):
    suite = load_suite(name)
    assert {one.count for one in suite.images} <= {100, 200}
    if suite.name not in ("digits", "digits-full", "mnist", "fashion-mnist", "cifar10"):
        return  # a study, or one in small
    assert suite.images[0].data == name.removesuffix("-full")
    assert {a.spec.name for a in suite.attacks} >= {"fgsm", "bim", "pgd", "deepfool", "cw", "noise"}


def test_some_suite_of_digits_has_every_attack_in_every_norm():
    suites = ("digits-full", "digits-sparse", "digits-adv-lib", "digits-cascade")
    asked = {(a.spec.name, a.spec.norm) for name in suites for a in load_suite(name).attacks}
    assert asked == {(name, norm) for name, row in ATTACKS.items() for norm in row.norms}


def test_known_suites_are_the_files_of_the_folder_and_one_a_study():
    root = Path(bench.__file__).parent
    plain = {p.stem for p in (root / "suites").iterdir() if p.suffix == ".toml"}
    studies = {p.name.replace("_", "-") for p in (root / "studies").iterdir() if p.is_dir()}
    assert set(known_suites()) == plain | (studies - {"--pycache--"})
    assert {"digits", "local-learning"} <= set(known_suites())


LOCAL = """\
title  = "Local"
data   = "digits"

[[models]]
name       = NAME
K          = [3, 4]
w          = 4
m          = 2
p          = 2
n          = [1, 4]
pool       = 2
activation = "relu"
MORE

[[attacks]]
name = "fgsm"
norm = "linf"
eps  = "0.1"
"""


def test_models_of_local_learning_take_their_options_into_their_names(tmp_path):
    path = tmp_path / "local.toml"
    path.write_text(LOCAL.replace("NAME", '"digits/ll"').replace("MORE", "delta = 0.2"))
    named = [model.title() for model in load_suite(str(path)).models]
    assert named == [
        f"digits/ll-K{K}-w4-m2-p2-delta0.2-n{n}-pool2-relu" for K in (3, 4) for n in (1, 4)
    ]
    for name, more, words in (
        (
            '["digits/ll", "digits/cnn"]',
            "",
            r"models\[1\]: digits/ll has its options in its name",
        ),
        ('"digits/ll"', "crafted_on = { K = 3 }", r"models\[1\]: digits/ll has its options"),
        (
            '"digits/cnn"',
            "climbed = { k = 1 }",
            r"models\[1\].climbed: it is called `crafted_on` now",
        ),
        ('"digits/bp"', "", r"models\[1\]: digits/bp has no m, p"),
        ('"digits/ll"', "depth = 3", r"models\[1\]: digits/ll has no depth"),
    ):
        path.write_text(LOCAL.replace("NAME", name).replace("MORE", more))
        with pytest.raises(SpecError, match=words):
            load_suite(str(path))


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_suite(str(path)).attacks == load_suite(written(tmp_path, GOOD)).attacks


def test_a_list_of_attacks_multiplies_as_one_of_models_does(tmp_path):
    text = GOOD.replace('"pgd"', '["pgd", "mi-fgsm"]').replace('["linf", "l2"]', '"linf"')
    found = load_suite(written(tmp_path, text)).attacks
    assert [one.spec.name for one in found] == ["pgd"] * 4 + ["mi-fgsm"] * 4
    with pytest.raises(SpecError, match=r"attacks\[1\]: no parameter of fgsm named 'steps'"):
        load_suite(written(tmp_path, text.replace("mi-fgsm", "fgsm")))


def test_a_whole_name_stands_for_itself_though_it_looks_like_a_glob(tmp_path):
    text = GOOD.replace("width = 3\n", "")
    text = text.replace('name = "digits/mlp"', 'name = ["net[v2]", "netv", "net2"]')
    text = text.replace("steps     = [5, 10]", 'models = ["net[v2]", "n?tv"]')
    globs = load_suite(written(tmp_path, text)).attacks[0].models
    assert [name for name in ("net[v2]", "netv", "net2")
            if any(fnmatch.fnmatchcase(name, glob) for glob in globs)] == ["net[v2]", "netv"]  # fmt: skip


@pytest.mark.parametrize(("before", "field"), [
    ("[[models]]", "climbed"), ("[[attacks]]", r"models\[1\].climbed"), ("", r"attacks\[1\].climbed"),
])  # fmt: skip
def test_a_former_name_is_explained_wherever_it_stands(tmp_path, before, field):
    text = (
        GOOD.replace(before, f"climbed = true\n{before}", 1)
        if before
        else f"{GOOD}climbed = true\n"
    )
    with pytest.raises(
        SpecError, match=rf": {field}: it is called `crafted_on` now, in \[\[models"
    ):
        load_suite(written(tmp_path, text))


def test_an_unknown_attack_may_be_a_plug_in_s_and_an_unknown_parameter_is_not(tmp_path):
    hint = "; if it comes from a plug-in, name that with --plugin FILE"
    with pytest.raises(SpecError, match=rf"attacks\[1\]: no attack named 'pgdd'.*{hint}$"):
        load_suite(written(tmp_path, GOOD.replace('"pgd"', '"pgdd"')))
    with pytest.raises(SpecError) as error:
        load_suite(written(tmp_path, GOOD.replace("steps ", "stepps ")))
    assert hint not in str(error.value)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mine.toml", "mine"),
        ("net-0.1.toml", "net-0.1"),
        ("net-0.1", "net-0.1"),  # a name, as runs record it
        ("my_study/suite.toml", "my-study"),
    ],
)
def test_a_suite_has_the_name_of_its_file_whatever_dots_are_in_it(file, name):
    assert suite_name(Path(file)) == name


def test_a_wrong_number_of_images_says_what_is_right(tmp_path):
    words = "images: 'al' is neither a whole number, nor \"all\", nor the file of a list"
    with pytest.raises(SpecError, match=words):
        load_suite(written(tmp_path, f'images = "al"\n{GOOD}'))
