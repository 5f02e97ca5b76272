"""Suite files: TOML, checked by a schema whose errors name file, table and field."""

from __future__ import annotations

import fnmatch
import itertools
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.attacks.catalogue import access, resolve, row_of
from bench.errors import SpecError, UnknownName
from bench.registry import literal, unknown
from bench.runner.claims_without_attacks import check_trainings
from bench.runner.override import AS_IT_IS, Overrides
from bench.runner.suite_claims import ClaimTable, checked_claim
from bench.runner.suite_images import NamedImages
from bench.spec import (
    AttackRequest,
    AttackSpec,
    ModelRequest,
    Norm,
    Scalar,
    SubstituteName,
    Suite,
    Toolkit,
    transfer_source,
)
from bench.suite_files import suite_name, suite_path
from bench.train.local_learning.names import is_base, written_out
from bench.trust.bounds import check_bounds

_Strict = ConfigDict(extra="forbid", strict=True)
_Open = ConfigDict(extra="allow", strict=True)


class _Model(BaseModel):
    """A `[[models]]` table; other keys are options of the model's factory, and lists are multiplied out."""

    model_config = _Open
    name: str | Annotated[list[str], Field(min_length=1)]
    crafted_on: dict[str, bool | int | float | str] | None = None


class _Attack(BaseModel):
    """An `[[attacks]]` table; other keys are the attack's parameters, and lists are multiplied out."""

    model_config = _Open
    name: str | Annotated[list[str], Field(min_length=1)]
    norm: Norm | list[Norm]
    eps: str | float | int | list[str | float | int] | None = None
    toolkits: list[Toolkit] | None = None
    surfaces: list[str] | None = None
    models: list[str] | None = None
    images: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None


class _Suite(BaseModel):
    """A suite file."""

    model_config = _Strict
    title: Annotated[str, Field(min_length=1)]
    data: str | Annotated[list[str], Field(min_length=1)]
    split: Annotated[str, Field(min_length=1)] = "test"
    images: (
        Annotated[int, Field(ge=1)] | Literal["all"] | Annotated[str, Field(pattern=r"\.txt$")]
    ) = 200
    order: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    models: Annotated[list[_Model], Field(min_length=1)]
    attacks: Annotated[list[_Attack], Field(min_length=1)]
    claims: list[ClaimTable] = []
    trainings: list[Annotated[str, Field(min_length=1)]] = []
    trust: dict[str, Any] = {}  # checked by `check_bounds`, which knows the bounds


def load_suite(named: str, over: Overrides = AS_IT_IS) -> Suite:
    """Return a suite with all attacks checked and all lists multiplied out.

    Args:
        named: a shipped suite, or a path ending in `.toml`.
        over: values that replace the suite's. If these change attacks, the claims are left out, since
            they are about the suite's own attacks.

    Raises:
        SpecError: no such suite, broken TOML (with its line), or a wrong field (file, table, field).
    """
    path = suite_path(named)
    try:
        # Some editors put a byte order mark at the start of a file.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not a UTF-8 text file") from error
    return read_suite(path, text, over)


def read_suite(path: Path, text: str, over: Overrides = AS_IT_IS) -> Suite:
    """Return a suite from the text of a file, which need not be there yet; otherwise as `load_suite`."""
    try:
        parsed = tomllib.loads(text)
        _check_fields(path, parsed)
        content = _Suite.model_validate(parsed)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: broken TOML: {error}") from error
    except ValidationError as error:
        raise SpecError(_in_words(path, error)) from error
    asked = NamedImages(
        path=path, data=_listed(content.data), split=content.split, images=content.images, order=content.order,
    )  # fmt: skip
    images = asked.sets()
    models = tuple(
        model for i, table in enumerate(content.models) for model in _models(path, i, table)
    )
    titles = [model.title() for model in models]
    over.check(
        (name for table in content.attacks for name in _listed(table.name)), suite_name(path)
    )
    attacks = tuple(
        request
        for i, table in enumerate(content.attacks)
        for request in _attacks(path, i, table, titles, over)
    )
    claims = tuple(
        checked_claim(table, attacks, f"{path}: claims[{i + 1}]")
        for i, table in enumerate([] if over.changes_attacks() else content.claims)
    )
    check_trainings(str(path), claims, content.trainings)
    try:
        bounds = check_bounds(content.trust)
    except SpecError as error:
        raise SpecError(f"{path}: trust: {error}") from error
    return Suite(
        name=suite_name(path),
        title=over.title(content.title),
        images=images,
        seed=content.seed if over.seed is None else over.seed,
        models=models,
        attacks=attacks,
        claims=claims,
        trainings=tuple(content.trainings),
        bounds=bounds,
    )


def look_up(find: Callable[[str], object], name: str) -> None:
    """Find what a suite names, which a plug-in may have to bring.

    Raises:
        SpecError: there is nothing of that name, or what `find` raises.
    """
    try:
        find(name)
    except UnknownName as error:
        raise UnknownName(
            f"{error}; if it comes from a plug-in, name that with --plugin FILE"
        ) from error


def _check_fields(path: Path, parsed: dict[str, Any]) -> None:
    """Check that no field has its former name and no list is empty: it would silently remove its table.

    Raises:
        SpecError: a list is empty, or a field has another name now.
    """
    tables = [("", parsed)]
    for kind, entries in parsed.items():
        if isinstance(entries, list):
            tables += [
                (f"{kind}[{turn}].", table)
                for turn, table in enumerate(entries, 1)
                if isinstance(table, dict)
            ]
    for where, table in tables:
        for field, value in table.items():
            if field == "climbed":
                raise SpecError(
                    f"{path}: {where}climbed: it is called `crafted_on` now, in [[models]]"
                )
            if value == []:
                raise SpecError(
                    f"{path}: {where}{field}: an empty list; write a value, or leave the field out"
                )


def _in_words(path: Path, error: ValidationError) -> str:
    first = error.errors()[0]
    if first["loc"][0] == "seed" and isinstance(first["input"], list):
        return (
            f"{path}: seed: one whole number, not a list; for more seeds run the suite again with --seed N; "
            "the cells of all seeds are kept"
        )
    if first["loc"][0] == "images" and isinstance(first["input"], str):
        return (
            f'{path}: images: {first["input"]!r} is neither a whole number, nor "all", nor the file of a list such as '
            f'"indices.txt"'
        )
    # Pydantic adds the branch of a union to the location; keep only tables, indices and fields.
    fields = [part for part in first["loc"] if isinstance(part, int) or part.isidentifier()]
    tables: tuple[type[BaseModel], ...] = (_Suite, _Model, _Attack, ClaimTable)
    names = {name for table in tables for name in _fields(table)}
    where = ""
    for part in fields:
        if isinstance(part, int):
            where += f"[{part + 1}]"
        elif part in names or first["type"] == "extra_forbidden":
            where += f".{part}" if where else part
    if first["type"] == "extra_forbidden":
        table = ClaimTable if fields[0] == "claims" else _Suite  # the other tables take any key
        return f"{path}: {where}: no such field; it takes {', '.join(_fields(table))}"
    if first["type"] == "list_type" and isinstance(first["input"], dict):
        return f"{path}: {where}: this is one table; write [[{where}]] for each of a list of them"
    if first["type"] == "model_type":
        table_name = where.partition("[")[0]
        return f"{path}: {where}: {first['input']!r} is no table; write [[{table_name}]], and its fields below"
    if first["type"] == "missing":
        return f"{path}: {where}: this field is missing"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{path}: {where}: {message} (it says {first['input']!r})"


def _fields(table: type[BaseModel]) -> list[str]:
    """Return the names of the fields of a table, as a file has them."""
    return [field.alias or name for name, field in table.model_fields.items()]


def _models(path: Path, index: int, table: _Model) -> list[ModelRequest]:
    """Return the models of a table, one for each name and combination of options."""
    axes = {key: _listed(value) for key, value in sorted((table.model_extra or {}).items())}
    for key, values in axes.items():
        for value in values:
            if not isinstance(value, bool | int | float | str):
                raise SpecError(
                    f"{path}: models[{index + 1}].{key}: {value!r} is not a number, text or "
                    f"true/false"
                )
    crafted_on = None if table.crafted_on is None else tuple(sorted(table.crafted_on.items()))
    variants = [
        tuple(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
    ]
    bases = [name for name in _listed(table.name) if is_base(name)]
    if bases:
        if crafted_on is not None or len(bases) < len(_listed(table.name)):
            raise SpecError(
                f"{path}: models[{index + 1}]: {bases[0]} has its options in its name; put other "
                "models, and `crafted_on`, into another table"
            )
        return _written_out(path, index, bases, variants)
    if crafted_on is not None and crafted_on not in variants:
        raise SpecError(
            f"{path}: models[{index + 1}].crafted_on: {table.crafted_on!r} is not a combination of "
            f"the table's own options ({', '.join(axes) or 'it has none'})"
        )
    return [
        ModelRequest(name=name, options=options, crafted_on=crafted_on)
        for name in _listed(table.name)
        for options in variants
    ]


def _written_out(
    path: Path, index: int, bases: list[str], variants: list[tuple[tuple[str, Scalar], ...]]
) -> list[ModelRequest]:
    """Return models whose names contain all their options."""
    try:
        return [
            ModelRequest(name=written_out(name, dict(options)))
            for name in bases
            for options in variants
        ]
    except SpecError as error:
        raise SpecError(f"{path}: models[{index + 1}]: {error}") from error


def _attacks(
    path: Path, index: int, table: _Attack, titles: list[str], over: Overrides
) -> Iterator[AttackRequest]:
    globs = None if table.models is None else literal(table.models, titles)
    for glob in globs or ():
        if not any(fnmatch.fnmatchcase(title, glob) for title in titles):
            reason = unknown("model in this suite", glob, titles)
            raise SpecError(f"{path}: attacks[{index + 1}].models: {reason}")
    surfaces = None if table.surfaces is None else _surfaces(path, index, table.surfaces, titles)
    extra: dict[str, Any] = table.model_extra or {}
    axes = {"norm": _listed(table.norm), "eps": _listed(table.eps)}
    # A list of members is one cascade; all other lists are multiplied out.
    axes |= {key: [value] if key == "members" else _listed(value) for key, value in extra.items()}
    for name, parameters in _combinations(_listed(table.name), axes, over):
        norm, eps = parameters.pop("norm"), parameters.pop("eps")
        try:
            look_up(row_of, name)
            _refuse_elsewhere(name, surfaces or ())
            spec: AttackSpec = resolve(name, norm, eps, parameters)
        except SpecError as error:
            raise type(error)(f"{path}: attacks[{index + 1}]: {error}") from error
        yield AttackRequest(
            spec=spec,
            toolkits=None if table.toolkits is None else tuple(table.toolkits),
            surfaces=surfaces,
            models=globs,
            images=table.images,
            batch_size=table.batch_size,
        )


def _surfaces(path: Path, index: int, named: list[str], titles: list[str]) -> tuple[str, ...]:
    """Return the names of surfaces; only those of substitutes and of other models can be wrong of themselves."""
    try:
        substitutes = {name: SubstituteName.read(name) for name in named}
        for name in named:
            source = transfer_source(name)
            if source is not None and source not in titles:
                raise unknown("model in this suite", source, titles)
    except SpecError as error:
        raise SpecError(f"{path}: attacks[{index + 1}].surfaces: {error}") from error
    return tuple(
        name if substitute is None else substitute.title()
        for name, substitute in substitutes.items()
    )


def _refuse_elsewhere(attack: str, surfaces: Sequence[str]) -> None:
    """Raise a SpecError where an attack asks the model itself, and would have to be made on something else.

    Surfaces of the model itself are left aside there, so that a table may name such an attack beside others.
    """
    if access(attack) == "white":
        return
    for name in surfaces:
        if SubstituteName.read(name) is not None or transfer_source(name) is not None:
            raise SpecError(
                f"surfaces: {attack} asks the model itself, so that {name!r} does not apply to it; give {attack} a "
                f"table without it"
            )


def _combinations(
    names: list[str], axes: dict[str, list[Any]], over: Overrides
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the parameters of each attack of a table."""
    for name in names:
        own_axes = over.axes(name, axes)
        for values in itertools.product(*own_axes.values()):
            yield name, dict(zip(own_axes, values, strict=True))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
