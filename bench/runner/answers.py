"""Whether a user's model still answers as it did when its rows were made.

A fingerprint covers everything of a model that Python can see. Anything else (a file read while
predicting, a remote service, a compiled library) shows only in its answers. Answers are not part of a
key, since processors round differently; but two different sets of answers under one key are an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from bench.adapters.abilities import KnownAs
from bench.adapters.generators import device_of, seeded
from bench.adapters.outputs import mistaken
from bench.data.labelled import LabelledImages
from bench.data.table import fits
from bench.errors import AdapterError, BenchError, StoreError
from bench.model_names import all_ours
from bench.registry import users_code
from bench.runner.plan import Plan
from bench.spec import Adapter, ModelRequest, Prediction, Random
from bench.store.files import atomic_write
from bench.store.identity import canonical_json
from bench.store.runlog import runs
from bench.store.store import Store

#: How many images a model is queried on: the first of those under attack, and noise from a fixed seed.
_IMAGES, _NOISE = 32, 8

#: How far probabilities of one model may differ between machines. Other kernels change them by about
#: 1e-6 in float32 and by up to 4e-3 in bfloat16 (8 bits, over a few layers); with another model, some of
#: forty images differ by far more.
_TOLERANCE = 1e-2

#: How many answers may differ if a model gives labels only: their margins are unknown and may be zero.
_FLIPS = 1


def check_answers(plan: Plan, store: Store) -> dict[ModelRequest, BenchError]:
    """Compare the answers of each of the user's models to a few images with those kept earlier.

    It costs one pass of forty images per model. Models whose answers vary from call to call are not
    compared.

    Args:
        plan: holds the models and the images under attack.
        store: its folder `models` keeps the answers, one file per model.

    Returns:
        Models that cannot be attacked, and why: their scores are not what was declared.

    Raises:
        StoreError: a model's answers changed since its rows were made, although its fingerprint did not.
    """
    refused: dict[ModelRequest, BenchError] = {}
    for request, fingerprint in _users(plan).items():
        adapter = plan.adapters[request]
        if isinstance(adapter, Random):
            continue
        x = _asked(plan, adapter)
        with seeded(0, x.device), users_code():
            try:
                prediction = adapter.predict(x)
            except Exception:  # its cells will fail and report why
                continue
            why = mistaken(prediction.scores[prediction.labels >= 0], adapter.spec.scores)
            if why is not None:
                refused[request] = AdapterError(f"{request.title()}: {why}")
                continue
            answers = _answers(prediction, adapter.spec.scores)
            path = store.root / "models" / f"{_key(request, fingerprint, answers, x)}.json"
            kept = _read(path)
            if kept is None:
                about = {"model": request.title(), "fingerprint": fingerprint}
                atomic_write(path, (json.dumps({**about, **answers}) + "\n").encode())
            elif _differ(kept, answers) and not _differ(
                answers, _answers(adapter.predict(x), adapter.spec.scores)
            ):
                raise StoreError(_otherwise(request, adapter, store))
    return refused


def earlier_versions(plan: Plan, store: Store) -> list[str]:
    """Return a line for each of the user's models that has changed since the suite's last run.

    Each change is reported once, since the next run compares with this one.
    """
    users = _users(plan)
    last = next((run for run in runs(store) if run["suite"] == plan.suite.name), None)
    if not users or last is None:
        return []
    lines = []
    for request, fingerprint in users.items():
        cells = (cell["cell"] for cell in last["cells"] if cell["model"] == request.title())
        records = (store.record(key) for key in cells if key not in plan.cells)
        record = next((record for record in records if record is not None), None)
        if record is not None and record["identity"]["model"]["fingerprint"] != fingerprint:
            lines.append(
                f"{request.title()}: {store.root} has rows of another version of this model, or of a model "
                f"that had the same fingerprint in an earlier Crossfire; they are not used"
            )
    return lines


def _users(plan: Plan) -> dict[ModelRequest, str]:
    """Return the user's models and their fingerprints; Crossfire's own are identified by their weights."""
    return {
        cell.model: cell.fingerprint
        for cell in plan.cells.values()
        if not all_ours(cell.model.name, dict(cell.model.options))
    }


def _asked(plan: Plan, adapter: Adapter) -> torch.Tensor:
    """Return the images that a model is queried on, (N, C, H, W)."""
    sets = [
        images for wanted, images in plan.images.items() if fits(wanted.data, adapter.spec.data)
    ]
    first: LabelledImages = max(sets, key=len).first(_IMAGES)
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand((_NOISE, *adapter.spec.input_shape), generator=generator)
    return torch.cat([first.images, noise]).to(device_of(adapter))


def _answers(prediction: Prediction, scores: str) -> dict[str, Any]:
    """Return labels and the two largest probabilities of each image, as plain values."""
    scores_given = prediction.scores.double()
    shares = scores_given.softmax(1) if scores == "logits" else scores_given
    top = shares.topk(min(2, shares.shape[1]), dim=1).values.cpu()
    return {
        "labels": prediction.labels.tolist(),
        "largest": [
            [round(value, 4) if value == value else None for value in row] for row in top.tolist()
        ],
        "labels_alone": bool(((scores_given == 0) | (scores_given == 1)).all()),
    }


def _differ(kept: Mapping[str, Any], answers: Mapping[str, Any]) -> bool:
    """Return whether answers come from two models, rather than from one model on two machines."""
    flips = 0
    for label, label_now, top, beside in zip(
        kept["labels"], answers["labels"], kept["largest"], answers["largest"], strict=True
    ):
        if answers["labels_alone"]:
            flips += label != label_now
            continue
        finite = [value for value in (*top, *beside) if value is not None]
        if len(finite) < len(top) + len(beside):
            if [value is None for value in top] != [value is None for value in beside]:
                return True
            continue
        if any(abs(a - b) > _TOLERANCE for a, b in zip(top, beside, strict=True)):
            return True
        if label != label_now and top[0] - top[-1] > 2 * _TOLERANCE:
            return True
    return flips > _FLIPS


def _key(
    request: ModelRequest, fingerprint: str, answers: Mapping[str, Any], x: torch.Tensor
) -> str:
    """Return the name of a model's file, from what identifies its cells and the images queried."""
    images_digest = hashlib.sha256(x.cpu().numpy().tobytes()).hexdigest()
    named = [request.name, dict(request.options), fingerprint, images_digest]
    return hashlib.sha256(canonical_json(named).encode()).hexdigest()[:20]


def _read(path: Any) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is damaged ({error}); delete it and run again") from error
    return kept


def _otherwise(request: ModelRequest, adapter: Adapter, store: Store) -> str:
    named = adapter.known_as if isinstance(adapter, KnownAs) else None
    help_ = (
        f"give another fingerprint than {named!r}"
        if named is not None
        else "store what changed in an attribute of the model, or give bench.wrap_predict a fingerprint="
    )
    return (
        f"{request.title()} gives other answers than when its rows in {store.root} were made, though nothing "
        f"that Crossfire can see of it has changed; {help_}; or name another folder with --results"
    )
