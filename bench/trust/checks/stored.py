"""Whether the images that a run kept do again, and in other circumstances, what they did in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from bench.measure.outcomes import Outcomes, broken
from bench.measure.statistics import wilson
from bench.measure.threats import same_radius
from bench.spec import MINIMAL
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.registry import Check, Finding, Status
from bench.trust.lowered import adaptive_to_add, bound, lowered, not_applicable, not_attacked

#: How many cells are looked into, and how many images are predicted together here, in a run many more.
_CELLS, _TOGETHER = 8, 7

#: Where the two largest scores differ by less, other sums in another batch may turn the decision.
_BORDERLINE = 1e-4


class _Kept(NamedTuple):
    """Kept images that broke the model in the run, (K, C, H, W), and their labels (K,)."""

    x_adv: torch.Tensor
    y: torch.Tensor


def again_in_another_batch(threat: CheckedThreat) -> Finding:
    """Predict kept adversarial images anew, in batches of another size."""
    kept, why = _broke(threat)
    if kept is None:
        return why
    labels, near = _predicted(threat, kept.x_adv)
    lost = (labels == kept.y.cpu()) & ~near
    n, k = len(lost), int(lost.sum())
    most = threat.model.bounds["kept-images.most"]
    status: Status = "pass" if k == 0 else "fail" if k / n > most else "warn"
    sentence = f"{n - k} of {n} kept images that broke the model in the run break it again"
    if k:
        sentence += (
            f"; {k} do not, in batches of {_TOGETHER}: the model's answers have changed since, or depend "
            "on the batch"
        )
    return Finding(
        status=status,
        sentence=sentence,
        value=k / n,
        bound=f"at most {most:.1%} do not",
        remedy="bench run --overwrite always computes the cells again" if k else "",
    )


KEPT_IMAGES = Check(
    id="kept-images",
    title="kept images break the model again",
    needs="threat",
    run=again_in_another_batch,
    overstates=False,
)


def as_pictures(threat: CheckedThreat) -> Finding:
    """Round kept adversarial images to the 256 levels of a picture file and predict them again."""
    kept, why = _broke(threat)
    if kept is None:
        return why
    labels, _ = _predicted(threat, (kept.x_adv * 255).round() / 255)
    n, k = len(labels), int((labels == kept.y.cpu()).sum())
    most = threat.model.bounds["eight-bits.most"]
    fewer = wilson(k, n).low > most
    sentence = f"{n - k} of {n} kept images that broke the model still do as 8-bit pictures"
    if fewer:
        sentence += "; the rest depend on differences smaller than a picture file can hold"
        if threat.drawn:  # draws are seeded by the image, so a rounded one has others
            sentence += ", or on what the model draws"
    return Finding(
        status="warn" if fewer else "pass",
        sentence=sentence,
        value=k / n,
        bound=f"at most {most:.0%} do not, by the lower end of the 95 % interval",
    )


EIGHT_BITS = Check(
    id="eight-bits",
    title="adversarial images stay so as 8-bit pictures",
    needs="threat",
    run=as_pictures,
    doubts=False,
    overstates=False,
)


def from_other_models(threat: CheckedThreat) -> Finding:
    """Show the model images that the run crafted for its other models, where it withstood its own attacks.

    What breaks another model should not break this one where a direct attack fails (Carlini et al., 2019,
    section 4.6).
    """
    if threat.outcomes is None:
        return not_applicable("no other model of the run is known")
    at = threat.survivors(len(threat.y))
    if why := not_attacked(threat, at):
        return why
    shown, fallen = _shown(threat, threat.outcomes)
    if not shown:
        return not_applicable("the run kept no images of other models under this threat")
    drop = lowered(threat, torch.tensor([place in fallen for place in sorted(shown)]))
    status = drop.status(threat, "transfer")
    sentence = f"images crafted on other models break {drop.words()}"
    if status != "pass":
        sentence += f", where attacks on the model itself failed: {drop.drop()}"
    return Finding(
        status=status,
        sentence=sentence,
        value=drop.share,
        bound=bound(threat, "transfer"),
        remedy="" if status == "pass" else adaptive_to_add(threat),
    )


TRANSFER = Check(
    id="transfer",
    title="images of other models find nothing that direct attacks missed",
    needs="threat",
    run=from_other_models,
    masks=True,
)


def _shown(threat: CheckedThreat, outcomes: Outcomes) -> tuple[set[int], set[int]]:
    """Return the places of robust images of which other models' cells kept a version, and of those that fall."""
    cells = outcomes.cells
    others = cells[
        (cells["model"] != threat.title) & (cells["norm"] == threat.norm)
        & same_radius(cells["radius"], threat.eps) & (cells["status"] == "done")
        & (cells["data"] == threat.model.data)
    ]  # fmt: skip
    others = others.sort_values("successes", ascending=False).drop_duplicates("model")
    shown: set[int] = set()
    fallen: set[int] = set()
    for cell in others["cell"].head(_CELLS):
        kept = _placed(threat, threat.pictures(str(cell)))
        kept = {place: image for place, image in kept.items() if threat.robust[place]}
        if not kept:
            continue
        places = list(kept)
        images = torch.stack(list(kept.values())).to(threat.x)
        wrong = threat.wrong(images, threat.y[places]) & _inside(threat, images, places)
        shown.update(places)
        fallen.update(place for place, lost in zip(places, wrong.tolist(), strict=True) if lost)
    return shown, fallen


def _placed(threat: CheckedThreat, pictures: Mapping[str, torch.Tensor]) -> dict[int, torch.Tensor]:
    """Return kept images tried, (C, H, W), by their position among the images of the threat."""
    index = range(len(threat.y)) if threat.index is None else threat.index.tolist()
    place = {named: position for position, named in enumerate(index)}
    if not pictures:
        return {}
    pairs = zip(pictures["index"].tolist(), pictures["x_adv"], strict=True)
    return {place[named]: image for named, image in pairs if named in place}


def _inside(threat: CheckedThreat, images: torch.Tensor, places: list[int]) -> torch.Tensor:
    """Return which images lie within the threat of those at some places, bool (K,)."""
    way = (images - threat.x[places]).flatten(1).double()
    order = {"linf": torch.inf, "l2": 2, "l1": 1, "l0": 0}[threat.norm]
    length = torch.linalg.vector_norm(way, order, dim=1).cpu().numpy()
    return torch.from_numpy(broken(length, threat.eps))


def _broke(threat: CheckedThreat) -> tuple[_Kept | None, Finding]:
    """Return kept images that broke the model in the run; None, and why, if there are none."""
    none = not_applicable("the run kept no image that broke the model")
    if threat.outcomes is None or threat.cells.empty:
        return None, none
    if why := not_attacked(threat, torch.arange(1)):
        return None, why
    parts = list(_of_cells(threat, threat.outcomes))
    if not parts:
        return None, none
    return _Kept(
        torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    ), none


def _of_cells(
    threat: CheckedThreat, outcomes: Outcomes
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the kept images, and their labels, by which some cells broke the model within the threat."""
    done = threat.cells[(threat.cells["flag"] == "") & threat.cells["crafted_on"].isna()]
    done = done[(done["kind"] != MINIMAL) & (done["broken"] > 0)]
    index = range(len(threat.y)) if threat.index is None else threat.index.tolist()
    for cell in done.sort_values("broken", ascending=False)["cell"].head(_CELLS):
        distances = outcomes.break_distances.get(str(cell))
        if distances is None:
            continue
        broke = distances.index[(distances >= 0) & (distances < float("inf"))]
        kept = _placed(threat, threat.pictures(str(cell)))
        kept = {place: image for place, image in kept.items() if index[place] in broke}
        if kept:
            yield torch.stack(list(kept.values())).to(threat.x), threat.y[list(kept)]


def _predicted(threat: CheckedThreat, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return labels, int64 (K,), and whether the decision is borderline, bool (K,), in small batches."""
    labels, near = [], []
    for part in torch.split(images, _TOGETHER):
        prediction = threat.predict(part)
        two = prediction.scores.topk(2, dim=1).values
        labels.append(prediction.labels.cpu())
        near.append((two[:, 0] - two[:, 1] < _BORDERLINE).cpu())
    return torch.cat(labels), torch.cat(near)
