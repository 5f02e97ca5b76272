from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SpecError
from bench.spec import (
    AttackRequest,
    AttackSpec,
    Cell,
    CraftedOn,
    FittedOn,
    ImageSet,
    ModelRequest,
    Substitute,
    Suite,
)
from bench.store.identity import canonical_json, cell_key, identity, suite_content

CELL = Cell(
    model=ModelRequest(name="cifar10/cnn", options=(("k", 1), ("distance", "cosine"))),
    fingerprint="0123abcd",
    attack=AttackSpec(
        name="pgd", norm="linf", eps="8/255", parameters=(("random_start", True), ("steps", 10))
    ),
    toolkit="foolbox",
    surface="network",
    images=ImageSet(data="cifar10", split="test", count=200),
    checksum="feed",
    seed=0,
    batch_size=100,
)

FITTED_ON = FittedOn(fingerprint="89abcdef", surface="network", checksum="beef")

CRAFTED_ON = CraftedOn(
    model=ModelRequest(name="cifar10/cnn", options=(("k", 3),)), fingerprint="0123"
)
SUBSTITUTE = Substitute(queries=500, answers="labels", method="small", checksum="bead")
NAMES = st.text(min_size=1, max_size=8)
COUNTS = st.integers(0, 10**6)
WORDS = st.dictionaries(
    NAMES, st.booleans() | COUNTS | NAMES | st.floats(allow_nan=False, allow_infinity=False)
)
CELLS = st.builds(
    Cell,
    model=st.builds(
        ModelRequest, name=NAMES, options=WORDS.map(lambda words: tuple(words.items()))
    ),
    fingerprint=NAMES,
    attack=st.builds(
        AttackSpec,
        name=NAMES,
        norm=st.sampled_from(["l2", "linf"]),
        eps=st.none() | NAMES,
        parameters=WORDS.map(lambda words: tuple(sorted(words.items()))),
    ),
    toolkit=st.sampled_from(["art", "foolbox"]),
    surface=NAMES,
    images=st.builds(ImageSet, data=NAMES, split=NAMES, count=st.none() | COUNTS),
    checksum=NAMES,
    seed=COUNTS,
    batch_size=COUNTS,
)

CHANGES = [
    {"kind": "certify"},
    {"model": dataclasses.replace(CELL.model, name="cifar10/other")},
    {"model": dataclasses.replace(CELL.model, options=(("k", 2), ("distance", "cosine")))},
    {"fingerprint": "0123abce"},
    {"attack": dataclasses.replace(CELL.attack, name="bim")},
    {"attack": dataclasses.replace(CELL.attack, norm="l2")},
    {"attack": dataclasses.replace(CELL.attack, eps="16/510")},
    {"attack": dataclasses.replace(CELL.attack, eps=None)},
    {
        "attack": dataclasses.replace(
            CELL.attack, parameters=(("random_start", True), ("steps", 11))
        )
    },
    {"attack": dataclasses.replace(CELL.attack, parameters=(("random_start", 1), ("steps", 10)))},
    {"toolkit": "art"},
    {"surface": "vote"},
    {"images": dataclasses.replace(CELL.images, data="mnist")},
    {"images": dataclasses.replace(CELL.images, split="train")},
    {"images": dataclasses.replace(CELL.images, count=None)},
    {"checksum": "food"},
    {"seed": 1},
    {"batch_size": 99},
    {"fit": FITTED_ON},
    {"crafted_on": CRAFTED_ON},
    {"substitute": SUBSTITUTE},
    {"handed_in": "cafe"},
    {"code": "fedc"},
]


def test_golden_hash() -> None:
    # Whoever changes this number makes all results ever stored impossible to find.
    assert cell_key(CELL) == "54dc9c3475474fe415c4"


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_any_change_is_another_cell(change: dict[str, object]) -> None:
    assert cell_key(dataclasses.replace(CELL, **change)) != cell_key(CELL)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(FittedOn)])
def test_a_perturbation_fitted_otherwise_is_another_cell(field: str) -> None:
    fitted = dataclasses.replace(CELL, fit=FITTED_ON)
    other = dataclasses.replace(FITTED_ON, **{field: "other"})
    assert cell_key(dataclasses.replace(CELL, fit=other)) != cell_key(fitted)


@pytest.mark.parametrize("change", [
    {"queries": 100}, {"answers": "scores"}, {"method": "large"}, {"checksum": "bad"},
], ids=str)  # fmt: skip
def test_another_substitute_is_another_cell(change: dict[str, object]) -> None:
    through = dataclasses.replace(CELL, substitute=SUBSTITUTE)
    other = dataclasses.replace(SUBSTITUTE, **change)  # type: ignore[arg-type]
    assert cell_key(dataclasses.replace(CELL, substitute=other)) != cell_key(through)


@pytest.mark.parametrize("change", [
    {"fingerprint": "4567"}, {"model": dataclasses.replace(CRAFTED_ON.model, options=(("k", 5),))},
], ids=str)  # fmt: skip
def test_images_crafted_on_another_model_are_another_cell(change: dict[str, object]) -> None:
    crafted = dataclasses.replace(CELL, crafted_on=CRAFTED_ON)
    other = dataclasses.replace(CRAFTED_ON, **change)  # type: ignore[arg-type]
    assert cell_key(dataclasses.replace(CELL, crafted_on=other)) != cell_key(crafted)
    assert crafted.source().model == CRAFTED_ON.model
    assert CELL.source() == CELL


def test_images_that_were_handed_in_are_known_by_their_content_and_not_by_their_file() -> None:
    made = AttackSpec(name="external", norm="linf", eps="8/255", parameters=(("file", "a.pt"),))
    moved = dataclasses.replace(made, parameters=(("file", "b/c.npz"),))
    cell = dataclasses.replace(CELL, attack=made, handed_in="cafe")
    assert cell_key(dataclasses.replace(cell, attack=moved)) == cell_key(cell)
    assert cell_key(dataclasses.replace(cell, handed_in="fade")) != cell_key(cell)


def test_every_field_of_a_cell_is_tried() -> None:
    tried = {name for change in CHANGES for name in change}
    assert tried == {field.name for field in dataclasses.fields(Cell)}


@given(CELLS, CELLS)
def test_keys_are_equal_iff_identities_are(left: Cell, right: Cell) -> None:
    same = canonical_json(identity(left)) == canonical_json(identity(right))
    assert (cell_key(left) == cell_key(right)) == same


@given(CELLS)
def test_identity_survives_json_and_holds_all_that_is_in_a_cell(cell: Cell) -> None:
    read = json.loads(canonical_json(identity(cell)))
    assert read == identity(cell)
    assert read["attack"]["words"] == dict(cell.attack.parameters)
    assert read["images"]["count"] == cell.images.count


def test_order_of_options_does_not_matter() -> None:
    turned = ModelRequest(name="cifar10/cnn", options=(("distance", "cosine"), ("k", 1)))
    assert cell_key(dataclasses.replace(CELL, model=turned)) == cell_key(CELL)


def test_canonical_json_is_compact_and_sorted() -> None:
    assert canonical_json({"b": [1, 2.5], "a": None}) == '{"a":null,"b":[1,2.5]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_json_has_no_words_for_is_refused(value: object) -> None:
    with pytest.raises(SpecError, match="identity"):
        canonical_json({"x": value})


def test_the_content_of_a_suite_is_what_it_says_and_not_its_name() -> None:
    suite = Suite(
        name="a", title="T", images=(ImageSet(data="digits", split="test", count=20),), seed=0,
        models=(ModelRequest(name="digits/mlp"),),
        attacks=(AttackRequest(spec=AttackSpec(name="pgd", norm="linf", eps="0.1")),),
    )  # fmt: skip
    content = suite_content(suite)
    assert suite_content(dataclasses.replace(suite, name="b")) == content
    others = [
        dataclasses.replace(suite, title="U"),
        dataclasses.replace(suite, seed=1),
        dataclasses.replace(suite, images=(ImageSet(data="digits", split="test", count=21),)),
        dataclasses.replace(suite, models=(ModelRequest(name="digits/cnn"),)),
        dataclasses.replace(suite, attacks=(dataclasses.replace(suite.attacks[0], images=5),)),
    ]
    assert len({content, *map(suite_content, others)}) == 1 + len(others)


def test_a_noun_that_learns_a_word_changes_no_content() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Longer(Suite):
        word: int | None = None

    suite = Suite(
        name="a", title="T", images=(), seed=0, models=(ModelRequest(name="m"),), attacks=()
    )
    said = {field.name: getattr(suite, field.name) for field in dataclasses.fields(suite)}
    assert suite_content(Longer(**said)) == suite_content(suite)
    assert suite_content(Longer(**said, word=1)) != suite_content(suite)


def test_fields_with_new_names_keep_content_and_key_of_what_was_stored_under_the_old() -> None:
    request = ModelRequest(name="m", options=(("k", 3),), crafted_on=(("k", 1),))
    suite = Suite(
        name="a", title="T", images=(ImageSet(data="digits", split="test", count=20),), seed=1,
        models=(request,), attacks=(AttackRequest(spec=CELL.attack),),
    )  # fmt: skip
    assert suite_content(suite) == "b4d7c2c147bb77b2b479"
    assert cell_key(CELL) == "54dc9c3475474fe415c4"
    crafted = CraftedOn(model=ModelRequest(name="m"), fingerprint="f")
    assert cell_key(dataclasses.replace(CELL, crafted_on=crafted)) == "35c66c9e10b467d40aaf"
