import re

import build
import pytest
import torch
from torch import nn

import bench
from bench.attacks import toolkits
from bench.errors import PrerequisiteError, SpecError, UnsupportedAttack
from bench.runner import selection as selecting
from bench.runner.loading import Setting, resolve_device
from bench.runner.plan import make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite

FGSM = {"name": "fgsm", "norm": "linf", "eps": 0.1}


@pytest.fixture
def registered(registry):
    """Register models for one test, and forget them after it."""
    return bench.register_model


def linear(classes=10, shape=(1, 8, 8)):
    torch.manual_seed(0)
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes))


def test_cells_are_models_times_attacks_times_toolkits(tiny_suite):
    plan = make_plan(load_suite(str(tiny_suite)))
    titles = [cell.title() for cell in plan.cells.values()]
    assert len(titles) == len(set(titles)) == 2 * 3 + 1 + 1 + 1
    assert "digits/mlp · fgsm linf 0.1 · art" in titles
    assert len(plan.images[plan.suite.images[0]]) == 30
    assert {cell.surface for cell in plan.cells.values()} == {"network", "predict"}


def test_keys_do_not_depend_on_the_filters(tiny_suite):
    suite = load_suite(str(tiny_suite))
    whole = make_plan(suite).cells
    part = make_plan(suite, Selection(attacks=["fg*"], toolkits=["foolbox"])).cells
    assert len(part) == 2
    assert all(whole[key] == cell for key, cell in part.items())


def test_other_images_batches_or_seeds_are_other_cells(tiny_suite):
    import dataclasses

    suite = load_suite(str(tiny_suite))
    keys = [
        set(make_plan(suite).cells),
        set(make_plan(suite, Selection(images=29)).cells),
        set(make_plan(suite, setting=Setting(batch_size=7)).cells),
        set(make_plan(dataclasses.replace(suite, seed=1)).cells),
    ]
    assert len(set.union(*keys)) == sum(len(part) for part in keys)


@pytest.mark.parametrize(("filters", "words"), [
    ({"models": ["mnist/*"]}, "--model: .*digits/mlp"),
    ({"attacks": ["fgms"]}, "--attack: .*did you mean fgsm"),
    ({"toolkits": ["fool"]}, "no toolkit named 'fool'; did you mean foolbox"),
    ({"images": 501}, "501 images were asked for, digits test has 500"),
])  # fmt: skip
def test_a_filter_that_fits_nothing_is_said(tiny_suite, filters, words):
    with pytest.raises(SpecError, match=words):
        make_plan(load_suite(str(tiny_suite)), Selection(**filters))


def test_a_plugged_in_model_joins_suites_of_its_data_set(tiny_suite, registered):
    registered("mine", data="digits")(lambda: bench.wrap(linear(), 10, (1, 8, 8)))
    registered("other", data="cifar10")(lambda: bench.wrap(linear(), 10, (1, 8, 8)))
    plan = make_plan(load_suite(str(tiny_suite)))
    assert [request.name for request in plan.adapters] == ["digits/mlp", "mine"]


def test_a_model_without_gradient_gets_black_box_attacks_alone(tiny_suite, registered):
    def predict(x):
        return x.flatten(1)[:, :10].softmax(1)

    registered("blind", data="digits")(lambda: bench.wrap_predict(predict, 10, (1, 8, 8)))
    plan = make_plan(load_suite(str(tiny_suite)), Selection(models=["blind"]))
    assert [cell.attack.name for cell in plan.cells.values()] == ["noise"]
    assert any("blind has no gradient" in line for line in plan.left_out)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: bench.wrap(linear(7), 7, (1, 8, 8)), "bad has 7 classes, digits has 10"),
    (lambda: bench.wrap(linear(10, (3, 8, 8)), 10, (3, 8, 8)), "bad takes images of shape"),
    (lambda: bench.wrap(linear(7), 10, (1, 8, 8)), "bad: the network gives"),
    (lambda: linear(), "returned Sequential, not a model"),
    (lambda: int("x"), r"factory failed: test_plan.py, line \d+: ValueError"),
    (lambda: bench.wrap(linear().to("meta"), 10, (1, 8, 8)), "meta device"),
])  # fmt: skip
def test_a_model_that_does_not_fit_is_left_out_and_the_others_run(
    tiny_suite, registered, make, words
):
    registered("bad", data="digits")(make)
    suite = load_suite(str(tiny_suite))
    with pytest.raises(SpecError, match=f"nothing of suite tiny can be run: .*{words}"):
        make_plan(suite, Selection(models=["bad"]))
    plan = make_plan(suite)
    assert [request.name for request in plan.adapters] == ["digits/mlp"]
    assert set(plan.cells) == set(make_plan(suite, Selection(models=["digits/mlp"])).cells)
    assert list(plan.broken) == ["bad"]
    assert sum(re.search(words, line) is not None for line in plan.left_out) == 1


@pytest.mark.parametrize(("filters", "said"), [
    ({"models": ["digits/mlp", "digits/mpl"]}, "--model: no model in this suite named 'digits/mpl'"),
    ({"attacks": ["fgsm", "p?x"]}, "--attack: no attack in this suite named 'p?x'"),
])  # fmt: skip
def test_a_filter_that_nothing_matches_is_said_though_others_match(tiny_suite, filters, said):
    with pytest.raises(SpecError, match=re.escape(said)):
        make_plan(load_suite(str(tiny_suite)), Selection(**filters))


def test_a_model_of_another_data_set_is_said(tmp_path):
    path = tmp_path / "mixed.toml"
    path.write_text(build.suite(["cifar10/cnn"], [FGSM]))
    with pytest.raises(SpecError, match="cifar10/cnn classifies cifar10, suite mixed is digits"):
        make_plan(load_suite(str(path)))


def test_a_named_toolkit_that_cannot_is_an_error_and_an_unnamed_one_is_left_out(tmp_path):
    attack = {**FGSM, "targeted": "next"}
    path = tmp_path / "targeted.toml"
    path.write_text(build.suite(["digits/mlp"], [attack]))
    plan = make_plan(load_suite(str(path)))
    assert {cell.toolkit for cell in plan.cells.values()} == {"art", "torchattacks"}
    assert any("foolbox's fgsm cannot be targeted" in line for line in plan.left_out)
    path.write_text(build.suite(["digits/mlp"], [{**attack, "toolkits": ["foolbox"]}]))
    with pytest.raises(UnsupportedAttack, match="foolbox's fgsm cannot be targeted"):
        make_plan(load_suite(str(path)))


@pytest.mark.parametrize(("absent", "command"), [
    ("art", "pip install adversarial-robustness-toolbox==1.20.1"),
    ("torchattacks", "pip install --no-deps torchattacks==3.5.1"),
])  # fmt: skip
def test_a_toolkit_that_is_not_installed_is_left_out_unless_asked_for(
    tiny_suite, monkeypatch, absent, command
):
    monkeypatch.setattr(selecting, "installed", lambda kit: kit != absent)
    monkeypatch.setattr(toolkits, "installed", lambda kit: kit != absent)
    suite = load_suite(str(tiny_suite))
    plan = make_plan(suite)
    assert plan.cells
    assert absent not in {cell.toolkit for cell in plan.cells.values()}
    assert toolkits.install_command(absent) == command
    assert plan.left_out == (f"{absent} is not installed; run: {command}",)
    with pytest.raises(PrerequisiteError, match=f"is not installed; run: {command}$"):
        make_plan(suite, Selection(toolkits=[absent]))


def test_a_suite_that_names_an_added_toolkit_cannot_do_without_it(tmp_path, monkeypatch):
    """Others leave out what it alone has, in a line."""
    sparse = {"name": "sigma-zero", "norm": "l0"}
    path = tmp_path / "sparse.toml"
    path.write_text(build.suite(["digits/mlp"], [FGSM, sparse]))
    assert [cell.toolkit for cell in make_plan(load_suite(str(path))).cells.values()][3:] == [
        "adv-lib"
    ]
    monkeypatch.setattr(toolkits, "installed", lambda kit: kit != "adv-lib")
    why = "adv-lib is not installed; run: pip install --no-deps adv-lib==0.2.8"
    plan = make_plan(load_suite(str(path)))
    assert len(plan.cells) == 3
    assert plan.left_out == (why,)
    path.write_text(build.suite(["digits/mlp"], [FGSM, {**sparse, "toolkits": ["adv-lib"]}]))
    with pytest.raises(PrerequisiteError, match=f"^{why}$"):
        make_plan(load_suite(str(path)))


def test_devices():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda")
    if not torch.cuda.is_available():
        with pytest.raises(PrerequisiteError, match="--device cpu"):
            resolve_device("cuda")


def test_a_model_that_remembers_the_images_under_attack_is_refused(tiny_suite):
    text = tiny_suite.read_text().replace("digits/mlp", "digits/dml-contrastive-adam")
    tiny_suite.write_text(text)
    assert make_plan(load_suite(str(tiny_suite))).cells
    tiny_suite.write_text(text.replace("images = 30", 'images = 30\nsplit = "train"'))
    with pytest.raises(SpecError, match="remembers the images of digits train, which"):
        make_plan(load_suite(str(tiny_suite)))


MORE = """
[[attacks]]
name   = "bim"
norm   = "linf"
eps    = "0.1"
images = {}
"""


@pytest.mark.parametrize(("said", "count"), [(40, 40), (7, 7), ('"all"', 500)])
def test_an_attack_may_say_on_how_many_images_it_is_made(tiny_suite, said, count):
    tiny_suite.write_text(tiny_suite.read_text() + MORE.format(said))
    suite = load_suite(str(tiny_suite))
    plan = make_plan(suite)
    counts = {cell.attack.name: len(plan.images_of(cell)) for cell in plan.cells.values()}
    assert counts.pop("bim") == count
    assert set(counts.values()) == {30}
    overruled = make_plan(suite, Selection(images=20))
    assert {len(overruled.images_of(cell)) for cell in overruled.cells.values()} == {20}


def test_an_attack_may_say_how_many_images_are_attacked_together(tiny_suite):
    before = make_plan(load_suite(str(tiny_suite)))
    tiny_suite.write_text(tiny_suite.read_text() + MORE.replace("images", "batch_size").format(7))
    suite = load_suite(str(tiny_suite))
    plan = make_plan(suite)
    sizes = {cell.attack.name: cell.batch_size for cell in plan.cells.values()}
    assert sizes.pop("bim") == 7
    assert set(sizes.values()) == {100}
    assert before.cells.items() <= plan.cells.items()
    run = make_plan(suite, setting=Setting(batch_size=5))
    sizes = {cell.attack.name: cell.batch_size for cell in run.cells.values()}
    assert sizes.pop("bim") == 7
    assert set(sizes.values()) == {5}


def test_an_attack_on_many_images_needs_no_data_set_that_it_does_not_attack(tmp_path, registered):
    import dataclasses

    path = tmp_path / "two.toml"
    table = {**FGSM, "images": 600, "models": ["mnist/*"]}
    path.write_text(
        build.suite(["digits/mlp", "mnist/cnn"], [FGSM, table], data=["digits", "mnist"])
    )
    suite = load_suite(str(path))
    digits = dataclasses.replace(suite, models=suite.models[:1])
    assert {cell.images.count for cell in make_plan(digits).cells.values()} == {200}


def test_other_cells_are_the_same_beside_an_attack_on_more_images(tiny_suite):
    before = make_plan(load_suite(str(tiny_suite))).cells
    tiny_suite.write_text(tiny_suite.read_text() + MORE.format(40))
    assert before.items() <= make_plan(load_suite(str(tiny_suite))).cells.items()


def test_images_of_an_attack_are_a_number_or_all(tiny_suite):
    tiny_suite.write_text(tiny_suite.read_text() + MORE.format(0))
    with pytest.raises(SpecError, match=r"attacks\[\d\].images: .*greater than or equal to 1"):
        load_suite(str(tiny_suite))


def test_what_an_attack_needs_of_a_model_is_looked_at_before_it_runs(tmp_path):
    path = tmp_path / "needy.toml"
    deepfool = {"name": "deepfool", "norm": "l2", "candidates": 5}
    pgd = {"name": "pgd", "norm": "linf", "eps": 0.1, "targeted": ["3", "10"]}
    path.write_text(build.suite(["digits/mlp"], [deepfool, pgd]))
    plan = make_plan(load_suite(str(path)))
    asked = [(cell.attack.name, cell.attack.targeted, cell.toolkit) for cell in plan.cells.values()]
    assert {kit for name, _, kit in asked if name == "deepfool"} == {"foolbox", "native"}
    assert {target for name, target, _ in asked if name == "pgd"} == {"3"}
    few = "candidates=5 is fewer than the model's 10; set candidates=10 or use another toolkit"
    assert sorted(plan.left_out) == [
        f"digits: art's deepfool mixes up classes when it tries fewer than all: {few}",
        "digits: pgd targeted=10: the model has no class 10; its classes are 0 to 9",
        f"digits: torchattacks' deepfool tries every class: {few}",
    ]
    path.write_text(build.suite(["digits/mlp"], [{**deepfool, "toolkits": ["art"]}, pgd]))
    with pytest.raises(UnsupportedAttack, match="digits: art's deepfool mixes up classes"):
        make_plan(load_suite(str(path)))


def test_a_whole_name_is_that_model_alone_though_it_looks_like_a_glob(tiny_suite, registered):
    for name in ("net[v2]", "netv", "net2"):
        registered(name, data="digits")(lambda: bench.wrap(linear(), 10, (1, 8, 8)))
    suite = load_suite(str(tiny_suite))

    def kept(*globs):
        return [
            one.name
            for one in make_plan(suite, Selection(models=globs, attacks=["noise"])).adapters
        ]

    assert kept("net[v2]") == ["net[v2]"]
    assert kept("net[v-z]") == ["netv"]
    assert kept("net[v2]", "net2") == ["net[v2]", "net2"]


def test_a_model_is_chosen_by_the_title_that_tables_give_it_too(tmp_path):
    path = tmp_path / "k.toml"
    votes = {"name": "digits/dml-contrastive-adam", "k": [1, 3]}
    path.write_text(build.suite([votes], [{"name": "noise", "norm": "linf", "eps": 0.1}], images=5))
    title = "digits/dml-contrastive-adam-knn3"
    plan = make_plan(load_suite(str(path)), Selection(models=[title]))
    assert [one.title() for one in plan.suite.models] == [title]


def test_an_option_a_model_does_not_take_names_those_it_does(tiny_suite, registered):
    registered("mine", data="digits")(lambda width=3, depth=2: bench.wrap(linear(), 10, (1, 8, 8)))
    registered("open", data="digits")(lambda **words: bench.wrap(linear(), 10, (1, 8, 8)))
    text = tiny_suite.read_text()
    for name, words in (
        ("digits/dml-contrastive-adam", "takes k, distance, got distence"),
        ("digits/randomized-smoothing", "takes sigma, n, alpha, got distence"),
        ("digits/mlp", "digits/mlp takes no options, got distence"),
        ("mine", "mine takes width, depth, got distence"),
    ):
        tiny_suite.write_text(text.replace("digits/mlp", name, 1).replace(
            f'name = "{name}"', f'name = "{name}"\ndistence = "cosine"', 1))  # fmt: skip
        with pytest.raises(SpecError, match=words):
            make_plan(load_suite(str(tiny_suite)), Selection(models=[name]), train=False)
    tiny_suite.write_text(text.replace('"digits/mlp"', '"open"\ndistence = "cosine"'))
    assert make_plan(load_suite(str(tiny_suite)), Selection(models=["open"])).cells


def test_a_toolkit_that_runs_an_attack_on_request_runs_it_where_a_suite_names_it(tmp_path):
    def toolkits_of(**named):
        path = tmp_path / "fgsm.toml"
        path.write_text(build.suite(["digits/mlp"], [{**FGSM, **named}]))
        plan = make_plan(load_suite(str(path)))
        assert not plan.left_out
        return [cell.toolkit for cell in plan.cells.values()]

    assert toolkits_of() == ["art", "foolbox", "torchattacks"]
    assert toolkits_of(toolkits=["native", "art"]) == ["native", "art"]
    # Where no other has the norm it need not be named.
    other = {"name": "apgd-ce", "steps": 5}
    assert toolkits_of(**other) == ["art", "torchattacks"]
    assert toolkits_of(**other, norm="l1") == ["adv-lib"]


def test_a_model_whose_published_weights_are_not_here_is_left_out_and_the_others_run(
    tmp_path, monkeypatch
):
    from bench.train import pretrained

    why = "needs timm; run: pip install timm"
    monkeypatch.setattr(pretrained, "_not_installed", lambda: why)
    path = tmp_path / "two.toml"
    natural = "imagenet/efficientnet-lite0"
    attack = {**FGSM, "toolkits": ["native"], "images": 3}
    path.write_text(build.suite(["digits/mlp", natural], [attack], data=["digits", "natural"]))
    suite = load_suite(str(path))
    plan = make_plan(suite)
    assert {cell.model.name for cell in plan.cells.values()} == {"digits/mlp"}
    assert plan.left_out == (f"{natural} {why}",)
    assert not plan.broken
    with pytest.raises(PrerequisiteError, match="pip install timm"):
        make_plan(suite, Selection(models=[natural]))
