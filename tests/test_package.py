"""Guards of the package layout: links, package list, wheel, and the direction of imports."""

import ast
import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import bench
from bench.measure.perturbation_figures import PERTURBATION_FIGURES

ROOT = Path(__file__).parent.parent

#: Each room and the rooms it may import; a room's own modules and the nouns are always allowed.
NOUNS = {"version", "spec", "errors", "registry", "users_functions", "paths", "suite_files"}
BELOW = {
    "models": set(),
    "data": set(),
    "adapters": {"models"},
    "measure": {"store", "attacks"},
    "store": {"attacks"},
    "attacks": {"adapters"},
    "train": {"attacks", "store", "data", "adapters", "models"},
    "factories": set(),
    "batches": set(),
    "addresses": {"train", "factories", "data", "adapters", "models"},
    "model_names": {"addresses", "train", "data", "adapters"},
    "model_list": {"model_names", "train"},
    "zoo": {"addresses", "model_names", "factories", "train", "data", "adapters", "models"},
    "trust": {"measure", "zoo", "attacks", "store", "train", "data", "adapters"},
    "runner": {
        "trust",
        "measure",
        "zoo",
        "model_names",
        "addresses",
        "attacks",
        "store",
        "train",
        "data",
        "adapters",
    },
    "report": {"trust", "measure", "attacks", "store", "data"},
    "trackers": {"report", "store"},
    "studies": {"report", "trust", "measure", "attacks", "store", "data", "models"},
}
TOOLKITS = {"art", "foolbox", "torchattacks", "adv_lib"}


def folders():
    """Return the packages that lie in the folders, by import name."""
    found = {"bench": ROOT / "bench", "bench.models": ROOT / "models"}
    found["bench.adapters"] = ROOT / "adapters"
    for init in (ROOT / "bench").glob("*/**/__init__.py"):
        found[".".join(init.parent.relative_to(ROOT).parts)] = init.parent
    return found


def modules():
    """Return every module's import name and file."""
    for package, folder in folders().items():
        for path in folder.glob("*.py"):
            name = package if path.stem == "__init__" else f"{package}.{path.stem}"
            yield name, path


def imports(path, top_level_only=False):
    """Yield the names of the modules that a file imports at run time."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            # `from bench import x` may name a module.
            if node.module == "bench":
                yield from (f"bench.{alias.name}" for alias in node.names)


def test_the_package_list_names_every_folder():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert sorted(config["packages"]) == sorted(folders())
    assert config["package-dir"] == {
        "bench": "bench", "bench.models": "models", "bench.adapters": "adapters",
    }  # fmt: skip


def test_the_links_are_committed_as_links():
    listed = subprocess.run(
        ["git", "ls-files", "-s", "bench/models", "bench/adapters"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    if not listed:
        pytest.skip("not a git checkout")
    assert [line.split()[0] for line in listed.splitlines()] == ["120000", "120000"]


@pytest.mark.parametrize("name", ["models", "adapters"])
def test_a_room_is_not_imported_by_its_folders_name(name):
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert f"this is bench.{name}" in done.stderr


@pytest.mark.parametrize("name", ["models", "adapters"])
def test_a_users_own_module_of_that_name_is_left_alone(name, tmp_path):
    (tmp_path / f"{name}.py").write_text("MINE = True\n")
    code = f"import {name}, bench.{name}; assert {name}.MINE and not hasattr(bench.{name}, 'MINE')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_imports_go_one_way():
    wrong = []
    for name, path in modules():
        room = name.split(".")[1] if "." in name else ""
        for imported in imports(path):
            parts = imported.split(".")
            if parts[0] != "bench" or len(parts) < 2 or room not in BELOW:
                continue
            if parts[1] not in BELOW[room] | NOUNS | {room}:
                wrong.append(f"{name} imports {imported}")
    assert not wrong, wrong


def test_rooms_below_the_studies_name_no_study_and_no_family():
    """A study and a family bring what is theirs; such a name elsewhere would be a special case."""
    studies = {file.parent.name for file in (ROOT / "bench" / "studies").glob("*/suite.toml")}
    names = studies | {study.replace("_", "-") for study in studies}
    names -= set(PERTURBATION_FIGURES)  # a figure and a study may have one name
    families = {"neighbours", "local-learning", "smoothed", "ensemble"}
    found = [
        f"{path.relative_to(ROOT)}: {node.value!r}"
        for room in ("report", "measure", "store", "runner")
        for path in sorted((ROOT / "bench" / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in (names | families)
    ]  # fmt: skip
    assert not found, found


def test_each_toolkit_is_imported_in_its_driver_alone_and_late():
    wrong = []
    for name, path in modules():
        late = {one.split(".")[0] for one in imports(path)} & TOOLKITS
        early = {one.split(".")[0] for one in imports(path, top_level_only=True)} & TOOLKITS
        allowed = {kit for kit in TOOLKITS if name.startswith(f"bench.attacks.{kit}_")}
        wrong += [f"{name} imports {kit}" for kit in (late - allowed) | early]
    assert not wrong, wrong


def project():
    """Return the table of the project in pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def required(names):
    """Return the distributions that these require, and those that they require, and so on."""
    found, waiting = set(), [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(needed.name))
    return found


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize(
    ("name", "package", "stood_in_for"),
    [("torchattacks", "torchattacks", set()), ("adv-lib", "adv_lib", {"visdom"})],
)
def test_all_that_it_imports_is_required_by_us(name, package, stood_in_for):
    """It is installed without its requirements.

    torchattacks pins a requests that it never imports, and adv-lib's visdom fails to install. Its
    distutils is part of setuptools, where Python no longer has it.
    """
    owners = importlib.metadata.packages_distributions()
    code = [path for path in importlib.metadata.files(name) if path.suffix == ".py"]
    imported = {
        name.split(".")[0]
        for path in code
        if path.parts[0] == package  # not the stale robustbench that lies beside it
        for name in absolute_imports(path.locate())
    } - {*sys.stdlib_module_names, package, "distutils", *stood_in_for}
    assert imported >= {"numpy", "torch"}
    ours = required(Requirement(line).name for line in project()["dependencies"])
    assert name not in ours
    assert "setuptools" in ours
    for module in imported:
        assert ours & {canonicalize_name(owner) for owner in owners[module]}, module


def absolute_imports(path):
    """Yield the names of the modules that a file imports, but for those beside it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def test_no_requirement_of_ours_holds_requests_back():
    """A release of the last years must do: one that takes the mended urllib3 and idna."""
    recent = "2.32.5"
    for name in required(Requirement(line).name for line in project()["dependencies"]):
        for needed in map(Requirement, importlib.metadata.requires(name) or []):
            if needed.name == "requests" and needed.marker is None:
                assert needed.specifier.contains(recent), (name, str(needed))
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split()
                  if "==" in line)  # fmt: skip
    assert SpecifierSet(f">={recent}").contains(tested["requests"])


def test_the_citation_says_what_the_project_says():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    ours = project()
    assert cited["cff-version"] == "1.2.0"
    assert (cited["type"], cited["title"]) == ("software", "Crossfire")
    assert cited["authors"] == ours["authors"]
    assert cited["abstract"] == ours["description"]
    assert cited["version"] == ours["version"] == bench.__version__
    assert cited["license"] == ours["license"] == "MIT"
    assert cited["keywords"] == ours["keywords"]


def test_only_versions_of_python_that_the_project_takes_are_named():
    named = [line.rpartition(" ")[2] for line in project()["classifiers"] if "Python :: 3." in line]
    assert named
    assert all(
        one in Requirement(f"python{project()['requires-python']}").specifier for one in named
    )


@pytest.mark.slow
def test_the_source_archive_holds_what_git_holds_of_the_package_and_its_papers(tmp_path):
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\0")[:-1]
    if not listed:
        pytest.skip("not a git checkout")
    copy = tmp_path / "copy"
    for name in listed:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name, follow_symlinks=False)
    code = "from setuptools import build_meta; build_meta.build_sdist('..')"
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    papers = {"LICENSE", "CITATION.cff", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"}
    papers |= {"Makefile", "constraints.txt", "pyproject.toml"}
    code = {name for name in listed if name.split("/")[0] in ("bench", "models", "adapters")}
    links = {"bench/models", "bench/adapters"}
    assert papers <= set(listed)
    assert (papers | code) - links <= names


@pytest.mark.slow
def test_the_wheel_holds_everything_and_works_away_from_the_checkout(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for module, path in modules():
        inside = module.replace(".", "/") + ("/__init__.py" if path.stem == "__init__" else ".py")
        assert inside in names, inside
    for wanted in ("bench/report/render/report.typ", "bench/report/render/tables.typ",
                   "bench/suites/digits.toml", "bench/studies/dml/published.csv", "bench/py.typed",
                   "bench/starter/my_suite.toml",
                   "bench/models/weights/cifar10/cnn.safetensors"):  # fmt: skip
        assert wanted in names, wanted
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "import bench, pathlib; assert 'site' in bench.__file__; "
        "from bench.runner.suite import load_suite; load_suite('digits'); "
        "m = bench.load_model('cifar10/cnn'); print(m.spec.name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(site), "PATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "cifar10/cnn", done.stderr
