"""Ensembles: several models of one data set that answer together.

- `bagging`: the mean of the members' probabilities (Breiman, Bagging Predictors, 1996);
- `majority`: the class with most votes, one vote a member;
- `stacking`: a meta-learner of the members' probabilities (Wolpert, Stacked Generalization, 1992).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from bench.adapters.meta_learner import FOREST, MetaLearner, checked, fitted, unfitted
from bench.adapters.network import surface_gradient
from bench.adapters.passes import images_at_once
from bench.errors import AdapterError, SpecError
from bench.registry import users_code
from bench.spec import Adapter, ImageSet, Loss, ModelSpec, Prediction

#: How the answers of members are combined.
HOWS = ("bagging", "majority", "stacking")

#: The surface of a model that is the model itself, and that of an ensemble that only resembles it.
EXACT, MEAN = "network", "mean"


class MeanOfMembers(nn.Module):
    """The logarithm of the mean probabilities of several surfaces."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities (N, classes) of images (N, C, H, W) in [0, 1]."""
        total: torch.Tensor = _log_probabilities(self.members, x).logsumexp(0)
        return total - math.log(len(self.members))


class LinearOverMembers(nn.Module):
    """A linear meta-learner over the probabilities of several surfaces."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(
        self, members: Sequence[nn.Module], weight: torch.Tensor, bias: torch.Tensor
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        device = next(self.members.parameters(), weight).device
        self.register_buffer("weight", weight.to(device))
        self.register_buffer("bias", bias.to(device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, classes) of the meta-learner."""
        rows = joined(_log_probabilities(self.members, x).exp())
        return nn.functional.linear(rows, self.weight, self.bias)


def _log_probabilities(surfaces: nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities of each surface, (members, N, classes)."""
    # Copies, since a network may write into its input.
    return torch.stack([surface(x.clone()).float().log_softmax(1) for surface in surfaces])


def joined(probabilities: torch.Tensor) -> torch.Tensor:
    """Return probabilities (members, N, classes) as rows (N, members * classes)."""
    return probabilities.transpose(0, 1).flatten(1)


def plurality(labels: torch.Tensor, classes: int) -> Prediction:
    """Return what most members say.

    Args:
        labels: int64 (members, N); a member that says -1 has no vote.
        classes: number of classes.

    Returns:
        The class with most votes, -1 for a tie (or where nobody votes); the shares of the votes.
    """
    counts = torch.zeros(labels.shape[1], classes, device=labels.device)
    for of_a_member in labels:
        voting = of_a_member >= 0
        counts[voting] += nn.functional.one_hot(of_a_member[voting], classes).float()
    tied = (counts == counts.amax(1, keepdim=True)).sum(1) > 1
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    return Prediction(counts.argmax(1).masked_fill(tied, -1), shares)


def answers(members: Sequence[Adapter], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the members' labels, int64 (members, N), and probabilities, float32 (members, N, classes)."""
    labels, probabilities = [], []
    for member in members:
        prediction = member.predict(x)
        labels.append(prediction.labels)
        logits = member.spec.scores == "logits"
        probabilities.append(prediction.scores.softmax(1) if logits else prediction.scores)
    return torch.stack(labels), torch.stack(probabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleAdapter:
    """Several models that answer together, as a model of the benchmark.

    Attributes:
        members: the models; they are not copied.
        titles: what each is called.
        how: `bagging`, `majority` or `stacking`.
        meta: the fitted meta-learner of stacking.
        attackable: the images that a suite may attack, where the meta-learner was fitted on others of
            that split; None for all.
        notes: facts for the log of a run: on what the meta-learner was fitted, and how often the surface
            agrees with the decision.
    """

    spec: ModelSpec
    members: tuple[Adapter, ...]
    titles: tuple[str, ...]
    how: str
    meta: MetaLearner | None = None
    attackable: ImageSet | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    @users_code()
    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the decision.

        Bagging: the largest mean probability, the first of equal ones, as scikit-learn's soft voting.
        Majority: -1 for a tie. Stacking: the meta-learner's.
        """
        labels, probabilities = answers(self.members, x)
        if self.how == "majority":
            return plurality(labels, self.spec.num_classes)
        if self.meta is not None:
            return self.meta.predict(joined(probabilities))
        mean = probabilities.mean(0)
        return Prediction(mean.argmax(1), mean)

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's loss on a surface, (N, C, H, W).

        Raises:
            SpecError: there is no such surface.
        """
        return surface_gradient(self.spec.name, self.surfaces(), x, y, loss, surface)

    def surfaces(self) -> Mapping[str, nn.Module]:
        """Return `network`, which is the ensemble itself, or `mean`, which only resembles it.

        `network` is there for bagging, and for stacking under a linear meta-learner, where each member is
        differentiable itself. Else `mean` is the mean of the probabilities of those members that have a
        surface, by the first one of each.
        """
        offered = [member.surfaces() for member in self.members]
        linear = None if self.meta is None else self.meta.linear()
        if is_exact(self.how, offered, linear is not None):
            exact = [surfaces[EXACT] for surfaces in offered]
            over = MeanOfMembers(exact) if linear is None else LinearOverMembers(exact, *linear)
            return {EXACT: over}
        first = [next(iter(surfaces.values())) for surfaces in offered if surfaces]
        return {MEAN: MeanOfMembers(first)} if first else {}

    def importances(self) -> dict[str, list[float]] | None:
        """Return how much each class of each member counts for the meta-learner, by member.

        They sum to 1 over all members; see `MetaLearner.importances`. None where there is no meta-learner,
        or it does not say.
        """
        found = None if self.meta is None else self.meta.importances()
        if found is None:
            return None
        by_member = found.reshape(len(self.members), -1).tolist()
        return dict(zip(self.titles, by_member, strict=True))

    def facts(self) -> dict[str, Any]:
        """Return how the members are combined, as `combined`."""
        meta = None if self.meta is None else type(self.meta.estimator).__name__
        told = {"how": self.how, "members": list(self.titles), "meta": meta}
        return {"combined": {**told, **self.notes}}

    def registered(self, name: str, data: str, ours: bool) -> EnsembleAdapter:
        """Return the model under its registered name; see `bench.adapters.abilities.Registrable`."""
        return dataclasses.replace(self, spec=dataclasses.replace(self.spec, name=name, data=data))

    def fingerprint(self) -> str:
        """Return a digest of the members' fingerprints, how they are combined, and the meta-learner."""
        parts = [self.how, *(member.fingerprint() for member in self.members)]
        parts += [] if self.meta is None else [self.meta.digest()]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:20]


def is_exact(how: str, offered: Sequence[Mapping[str, nn.Module]], linear: bool) -> bool:
    """Return whether an ensemble has itself as a surface.

    Args:
        how: its members are combined.
        offered: the surfaces of each member.
        linear: whether its meta-learner is linear.
    """
    differentiable = how == "bagging" or (how == "stacking" and linear)
    return differentiable and all(EXACT in surfaces for surfaces in offered)


def rows_of(members: Sequence[Adapter], x: torch.Tensor) -> torch.Tensor:
    """Return what a meta-learner sees of images (N, C, H, W): float32 (N, members * classes)."""
    return torch.cat(
        [joined(answers(members, part)[1]) for part in torch.split(x, images_at_once(x.shape[1:]))]
    )


@users_code()
def wrap_ensemble(
    members: Sequence[Adapter],
    how: str = "bagging",
    meta: Any = None,
    fit: tuple[torch.Tensor, torch.Tensor] | None = None,
    name: str = "unnamed",
    data: str = "",
) -> EnsembleAdapter:
    """Return a model of the benchmark from several.

    Args:
        members: models of one data set, such as `bench.load_model("digits/cnn")` or `bench.wrap(net, ...)`.
        how: `bagging` (mean of the probabilities), `majority` (a tie is a wrong answer) or `stacking`.
        meta: of stacking: a classifier of scikit-learn, or the name of its class with its default settings;
            None for a random forest. It takes the members' probabilities one after the other.
        fit: images (N, C, H, W) in [0, 1] and labels, int64 (N,), that the meta-learner is fitted on; the
            members should not have been trained on them. None for one that is fitted already.
        name: the model's name; a registered model gets the name it is registered under.
        data: the data set it classifies; likewise.

    Raises:
        AdapterError: too few members, members of different shapes, or a meta-learner that is not fitted.
        SpecError: another `how`, or no classifier of the name `meta`.
    """
    check_how(how)
    members = tuple(members)
    spec = _shared(members)
    if how != "stacking" and (meta is not None or fit is not None):
        raise SpecError(f"wrap_ensemble: how={how!r} has no meta-learner; leave meta and fit out")
    learner = None
    if how == "stacking":
        estimator = unfitted(meta or FOREST) if meta is None or isinstance(meta, str) else meta
        if fit is not None:
            learner = fitted(estimator, rows_of(members, fit[0]), fit[1], spec.num_classes)
        else:
            learner = checked(estimator, len(members) * spec.num_classes, spec.num_classes)
    spec = dataclasses.replace(
        spec, name=name, data=data, family="ensemble", scores="probabilities"
    )
    titles = _titled([member.spec.name for member in members])
    return EnsembleAdapter(spec=spec, members=members, titles=titles, how=how, meta=learner)


def check_how(how: object) -> None:
    """Raise unless members can be combined like this.

    Raises:
        SpecError: they cannot.
    """
    if how not in HOWS:
        raise SpecError(f"how={how!r} is none of {', '.join(HOWS)}")


def _shared(members: Sequence[Adapter]) -> ModelSpec:
    """Return what the members have in common, as the first one has it."""
    if len(members) < 2:
        raise AdapterError("wrap_ensemble: an ensemble has two members or more")
    for member in members:
        if not isinstance(member, Adapter):
            raise AdapterError(
                f"wrap_ensemble: a member is a {type(member).__name__}, not a model; wrap it with "
                f"bench.wrap(net, ...) or bench.wrap_predict(function, ...)"
            )
    first = members[0].spec
    for other in (member.spec for member in members):
        wanted = first.num_classes, tuple(first.input_shape)
        has = other.num_classes, tuple(other.input_shape)
        if has != wanted:
            raise AdapterError(
                f"wrap_ensemble: {other.name} has {has[0]} classes and images of shape {has[1]}, "
                f"{first.name} has {wanted[0]} and {wanted[1]}"
            )
    return first


def _titled(names: Sequence[str]) -> tuple[str, ...]:
    """Return names, numbered where some are the same."""
    return tuple(
        name if names.count(name) == 1 else f"{name} ({names[: turn + 1].count(name)})"
        for turn, name in enumerate(names)
    )
