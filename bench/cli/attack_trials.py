"""What `bench attack` computes: single images, their labels, and what came of each under each attack."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.adapters.generators import device_of
from bench.api import attack
from bench.attacks.catalogue import access
from bench.cli.attack_words import AskedAttack, class_number
from bench.data.image_files import SingleImage
from bench.errors import AdapterError, SpecError
from bench.registry import users_code
from bench.report import formatting
from bench.report.labels import attack_asked
from bench.report.one_image import Attempt
from bench.report.pixels import to_bytes
from bench.runner.judge import Attempt as Judgement
from bench.runner.judge import decision, judge
from bench.spec import Adapter, Toolkit
from bench.train.substitutes import TrainedSubstitute
from bench.trust.behaviour import judged


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """An image, its label, and who says so.

    Attributes:
        called: on the screen: a file without its folder, unless another has that name.
        label: None where the model decides for no class and nobody else gives one.
        label_from: `data set`, `--label` or `model`.
    """

    image: SingleImage
    called: str
    label: int | None
    label_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """What a model says of an attacked image that was saved in 8 bits.

    Attributes:
        label: -1 where it decides for no class.
        success: whether the attack still reaches its goal; its radius is not asked about.
    """

    label: int
    confidence: float | None
    success: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One image under one attack.

    Attributes:
        row: with the columns of a stored result; empty where the attack failed with an error.
        x_adv: the image tried, (C, H, W); None where none was.
        rounded: after saving in 8 bits; None where there is nothing to save.
        error: why the attack failed.
        files: that were written of it.
    """

    image: LabelledImage
    asked: AskedAttack
    attack: str
    toolkit: Toolkit
    row: Mapping[Any, Any] = dataclasses.field(default_factory=dict)
    x_adv: NDArray[np.float32] | None = None
    rounded: Rounded | None = None
    error: Exception | None = None
    files: tuple[Path, ...] = ()

    @property
    def attempt(self) -> Attempt:
        """Return it as it is drawn."""
        return Attempt(
            attack=self.attack,
            threat=formatting.threat(self.asked.spec.norm, self.asked.spec.eps or "minimal"),
            toolkit=self.toolkit,
            x_adv=self.x_adv,
            row=self.row,
        )


def observed(adapter: Adapter, singles: Sequence[SingleImage]) -> tuple[Adapter, list[str]]:
    """Return a user's model in the form in which it is judged, and notes on how it behaves.

    Raises:
        AdapterError: it cannot predict these images.
    """
    x = torch.stack([single.x for single in singles]).to(device_of(adapter))
    with users_code():
        model, behaviour = judged(adapter, x)
    if behaviour.fails:
        raise AdapterError(f"{adapter.spec.name} {behaviour.notes()[0]}")
    return model, behaviour.notes()


def labelled(
    adapter: Adapter, singles: Sequence[SingleImage], labels: Sequence[str], classes: Sequence[str]
) -> list[LabelledImage]:
    """Return images with their labels: of the data set, of the command, else what the model says.

    Args:
        adapter: the model.
        singles: the images.
        labels: for the files among them: none, one for all, or one for each.
        classes: names of the model's classes.

    Raises:
        SpecError: a class that the model does not have, or another number of labels.
    """
    files = [single for single in singles if single.label is None]
    if labels and not files:
        raise SpecError("--label: images of the data set have their own labels; leave it out")
    if len(labels) not in (0, 1, len(files)):
        raise SpecError(
            f"--label: {len(labels)} given for {formatting.plural(len(files), 'file')}; give one for all, or "
            f"one for each"
        )
    numbers = [_known_class(label, adapter, classes) for label in labels]
    given = iter(numbers * len(files) if len(numbers) == 1 else numbers)
    names = [Path(single.name).name for single in singles]
    found = []
    for single, name in zip(singles, names, strict=True):
        called = name if names.count(name) == 1 else single.name
        label, source = single.label, "data set"
        if label is None:
            label, source = next(given, None), "--label"
        if label is None:
            label, source = _answer(adapter, single.x), "model"
        found.append(LabelledImage(image=single, called=called, label=label, label_from=source))
    return found


def _known_class(label: str, adapter: Adapter, classes: Sequence[str]) -> int:
    number, count = class_number(label, classes, "--label"), adapter.spec.num_classes
    if number >= count:
        raise SpecError(
            f"--label {label}: the model has no such class; its classes are 0 to {count - 1}"
        )
    return number


def _answer(adapter: Adapter, x: torch.Tensor) -> int | None:
    """Return the class a model decides for, of an image (C, H, W); None where for none."""
    with users_code():
        label = int(decision(adapter, x[None].to(device_of(adapter))).labels)
    return None if label < 0 else label


@dataclass(frozen=True, slots=True)
class AttackedModel:
    """A model under attack.

    Attributes:
        adapter: as it is judged.
        classes: names of its classes.
        surface: what attacks along a gradient follow; None for its first surface.
    """

    adapter: Adapter
    classes: Sequence[str]
    surface: str | TrainedSubstitute | None = None

    def followed_by(self, attack: str) -> str | TrainedSubstitute | None:
        """Return what an attack follows; a surface of the model's own is nothing to one that follows none."""
        unused = isinstance(self.surface, str) and access(attack) != "white"
        return None if unused else self.surface


def tried(model: AttackedModel, image: LabelledImage, asked: AskedAttack) -> Trial:
    """Return what came of one attack on one image; what goes wrong in the model or the toolkit is in it.

    Raises:
        UnsupportedAttack: no toolkit can run the attack on this model.
        PrerequisiteError: the toolkit is not installed.
    """
    adapter = model.adapter
    spec, toolkit = asked.spec, asked.runner(adapter.spec)
    given: dict[str, Any] = dict(asked.given)
    trial = Trial(
        image=image,
        asked=asked,
        attack=attack_asked(spec.name, asked.given, model.classes),
        toolkit=toolkit,
    )
    if image.label is None:
        return trial
    try:
        with users_code():
            out = attack(
                adapter, image.image.x[None], torch.tensor([image.label]), spec.name,
                norm=spec.norm, eps=spec.eps, toolkit=toolkit, surface=model.followed_by(spec.name), **given,
            )  # fmt: skip
            row = out.rows.iloc[0].to_dict()
            x_adv = _attacked_image(out.x_adv, row)
            rounded = None if x_adv is None else _rounded(adapter, trial, row, x_adv)
    except Exception as error:  # a model is anybody's code; the other images and attacks go on
        return dataclasses.replace(trial, error=error)
    return dataclasses.replace(trial, row=row, x_adv=x_adv, rounded=rounded)


def _attacked_image(x_adv: torch.Tensor, row: Mapping[Any, Any]) -> NDArray[np.float32] | None:
    """Return the image that was tried; None where the image was not attacked, or what came back is none."""
    if formatting.missing(row["linf"]):
        return None
    image: NDArray[np.float32] = x_adv[0].detach().cpu().float().numpy()
    return image


def _rounded(
    adapter: Adapter, trial: Trial, row: Mapping[Any, Any], x_adv: NDArray[np.float32]
) -> Rounded:
    device = device_of(adapter)
    rounded = (torch.from_numpy(to_bytes(x_adv)).float() / 255)[None].to(device)
    answer = decision(adapter, rounded)
    target = None if formatting.missing(row["target"]) else torch.tensor([int(row["target"])])
    judgement = Judgement(
        spec=dataclasses.replace(trial.asked.spec, eps=None),
        x=trial.image.image.x[None].to(device),
        y=torch.tensor([int(row["label"])], device=device),
        sure_before=torch.tensor([row["clean_confidence"]], device=device),
        target=None if target is None else target.to(device),
    )
    verdict = judge(judgement, adapter.spec, rounded, answer)
    return Rounded(
        label=int(answer.labels), confidence=verdict.adv_confidence[0], success=verdict.success[0]
    )
