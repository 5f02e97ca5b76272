"""A user's family whose functions fail: one line names it, its models are left out, the others run."""

import dataclasses
import json
import re

import build
import own_family
import pytest
from command import call

import bench
from bench import model_list
from bench.errors import FamilyError, SpecError
from bench.registry import load_plugin
from bench.runner.plan import make_plan
from bench.runner.suite import load_suite
from bench.train.families import FAMILIES, Family

FGSM = {"name": "fgsm", "norm": "linf", "eps": "0.1", "toolkits": ["torchattacks"]}

BROKEN = [
    ("build=lambda recipe: Means()", "build=lambda recipe: None", r"its build returned NoneType; return a"),
    ("build=lambda recipe: Means(),", "", r"its build failed: recipe: no network 'means'; write module:"),
    ("fit=fit", "fit=lambda recipe, net: None", r"its fit failed: TypeError: .*takes 2 positional"),
    ("watch(Pass(), net)", "raise KeyError('x')", r"its fit failed: KeyError"),
    ("assemble=assemble", "assemble=lambda *given: None", r"its assemble returned NoneType; return a model"),
    ("    net = Means()\n    net.load", "    raise OSError('gone')\n    net.load", r"its assemble failed: OSError"),
    ('surfaces=lambda recipe: ("means",)', "surfaces=lambda recipe: 1 / 0", r"its surfaces failed: Zero"),
    ('surfaces=lambda recipe: ("means",)', "surfaces=lambda recipe: None", r"its surfaces returned NoneType"),
    ('return save({"epochs"', 'return int({"epochs"', r"its training failed: TypeError"),
    ("best = scores.topk(2)", "best = scores.top(2)", r"its training failed: AttributeError"),
    ('{"epochs": load(payload)["epochs"]', '{"epochs": load(payload)["ages"]', r"its read_snapshots failed: Key"),
]  # fmt: skip


@pytest.fixture
def broken(tmp_path, monkeypatch, registry):
    """Return a function that writes the plug-in with one text replaced, and a suite beside it."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))

    def write(old, new):
        assert old in own_family.PLUGIN
        (tmp_path / "means.py").write_text(own_family.PLUGIN.replace(old, new))
        (tmp_path / "toy.toml").write_text(build.suite(["digits/mlp", "digits/means"], [FGSM]))
        return tmp_path / "means.py", tmp_path / "toy.toml"

    return write


@pytest.mark.parametrize(("old", "new", "words"), BROKEN)
def test_a_broken_family_is_left_out_and_the_others_run(broken, old, new, words):
    plugin, suite = broken(old, new)
    load_plugin(plugin)
    plan = make_plan(load_suite(str(suite)))
    assert {request.name for request in plan.adapters} == {"digits/mlp"}
    (line,) = plan.broken.values()
    assert line in plan.left_out
    assert len(plan.left_out) == 1
    assert re.match(rf"digits/means: family 'means': means.py, line \d+: {words}", line)
    assert "\n" not in line
    with pytest.raises(FamilyError, match=words):
        bench.load_model("digits/means")
    # A dry run trains nothing, so that it may not know yet; it does not die of it.
    make_plan(load_suite(str(suite)), train=False)
    assert "digits/means" in {record["name"] for record in model_list.listing()}


@pytest.mark.slow
def test_a_run_with_a_broken_family_ends_with_1_and_it_is_listed(broken, tmp_path):
    plugin, suite = broken('surfaces=lambda recipe: ("means",)', "surfaces=lambda recipe: 1 / 0")
    done = call("run", "--suite", suite, "--plugin", plugin, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    said = "not attacked: digits/means: family 'means': means.py, line"
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    listed = call("ls", "models", "--plugin", plugin, "--json", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    records = {one["name"]: one for one in map(json.loads, listed.stdout.splitlines())}
    assert records["digits/means"]["surfaces"] is None
    assert "its surfaces failed: ZeroDivisionError" in records["digits/means"]["weights"]
    assert records["digits/mlp"]["surfaces"] == ["network"]


@pytest.mark.slow
def test_the_example_in_the_readme_can_be_trusted(broken, tmp_path):
    plugin, _ = broken("epochs=1", "epochs=1")
    done = call("validate", "digits/means", "--plugin", plugin, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_family_is_registered_again_from_its_file_and_from_no_other(registry, tmp_path):
    def build_it(recipe):
        return None

    def build_other(recipe):
        return None

    bench.register_family(Family(name="toy", build=build_it))
    bench.register_family(Family(name="toy", build=build_it, certifies=True))
    assert FAMILIES["toy"].certifies
    place = r".*test_users_family.py, line \d+"
    with pytest.raises(
        SpecError, match=rf"family 'toy' is registered twice: by {place} and by {place}"
    ):
        bench.register_family(Family(name="toy", build=build_other))
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(
            'import bench\nbench.register_family(bench.Family(name="bare"))\n'
        )
    load_plugin(tmp_path / "one.py")
    with pytest.raises(
        SpecError, match=r"twice: by .*one.py, line 2 and by .*two.py, line 2; rename"
    ):
        load_plugin(tmp_path / "two.py")


@pytest.mark.parametrize("register", ["register_family", "register_kind", "register_check"])
def test_what_is_no_family_kind_or_check_is_refused(register):
    with pytest.raises(SpecError, match=rf"bench.{register} was given int; give it bench\.\w+\("):
        getattr(bench, register)(3)


def test_a_recipe_that_is_none_is_refused(registry):
    with pytest.raises(SpecError, match=r"the recipe of digits/toy is dict; give it bench.Recipe"):
        bench.register_family(
            dataclasses.replace(Family(name="toy"), recipes={"digits/toy": {"epochs": 1}})
        )
