"""Checks that a model does what attacks rely on.

Some only read the observed behaviour of the model (`bench.trust.behaviour`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.adapters.outputs import looks_like_probabilities
from bench.adapters.random import VOTES
from bench.data.table import DATASETS
from bench.train.cards import read_card, weights_folder
from bench.trust.checked_model import CheckedModel
from bench.trust.checks.registry import Check, Finding
from bench.trust.watch import Watch, gap, one_line

#: The largest relative difference of scores between evaluation and training mode.
_SAME_SCORES = 1e-4

_CALL_EVAL = "call eval() in it"


def fits_data(model: CheckedModel) -> Finding:
    """Compare the model's input shape and classes with those of the data set."""
    data, spec = DATASETS[model.data], model.adapter.spec
    if tuple(spec.input_shape) != data.input_shape:
        sentence = f"takes {tuple(spec.input_shape)}, {data.name} has {data.input_shape}"
        return Finding(status="fail", sentence=sentence)
    if spec.num_classes != len(data.classes):
        sentence = f"has {spec.num_classes} classes, {data.name} has {len(data.classes)}"
        return Finding(status="fail", sentence=sentence)
    sentence = f"takes {data.name}: {data.input_shape}, {spec.num_classes} classes"
    return Finding(status="pass", sentence=sentence)


IMAGES = Check(
    id="images",
    title="input shape and classes are those of the data set",
    needs="model",
    run=fits_data,
    required=True,
    overstates=False,
)


def answers(model: CheckedModel) -> Sequence[Finding]:
    """Return a finding only if every prediction fails, since all other checks rely on predictions."""
    if model.behaviour.fails:
        return [Finding(status="fail", sentence=model.behaviour.notes()[0])]
    return []


ANSWERS = Check(
    id="answers",
    title="predict can be called",
    needs="model",
    run=answers,
    required=True,
    overstates=False,
)


def scores(model: CheckedModel) -> Finding:
    """Check the shapes and the range of the scores."""
    spec, n, prediction = model.judge.spec, len(model.images), model.prediction
    want = (n, spec.num_classes)
    if tuple(prediction.scores.shape) != want or tuple(prediction.labels.shape) != (n,):
        shapes = f"{tuple(prediction.scores.shape)} and {tuple(prediction.labels.shape)}"
        sentence = f"scores and labels have shapes {shapes}, not {want}"
        return Finding(status="fail", sentence=sentence)
    if not prediction.scores.isfinite().all():
        return Finding(status="fail", sentence="scores are not finite")
    if looks_like_probabilities(prediction.scores):
        if spec.scores == "logits":
            return Finding(
                status="fail",
                sentence="scores are probabilities; attacks need logits",
                remedy="leave out the final softmax",
            )
        return Finding(status="pass", sentence="finite probabilities")
    low, high = float(prediction.scores.min()), float(prediction.scores.max())
    return Finding(status="pass", sentence=f"finite, from {low:.3g} to {high:.3g}")


SCORES = Check(id="scores", title="scores are finite logits", needs="model", run=scores, masks=True)


def eval_mode(model: CheckedModel) -> Finding:
    """Put all layers in training mode and check whether predict still uses evaluation mode."""
    behaviour = model.behaviour
    if behaviour.training:
        kinds = " and ".join(behaviour.training)
        sentence = f"{kinds} in training mode in predict"
        return Finding(status="fail", sentence=sentence, remedy="call eval()")
    watch = Watch(model.adapter)
    in_eval = watch.ask(model.few_images)
    modes = [(part, part.training) for part in watch.modules]
    try:
        for part in watch.modules:
            part.training = True
        in_training = watch.ask(model.few_images)
        left_in_training = [part.training for part in watch.modules]
    except Exception as error:
        sentence = f"predict fails in training mode ({one_line(error)})"
        return Finding(status="fail", sentence=sentence, remedy=_CALL_EVAL)
    finally:
        for part, mode in modes:
            part.training = mode
        watch.put_back()
    if watch.training:
        kinds = " and ".join(watch.training)
        sentence = f"predict leaves {kinds} in training mode"
        return Finding(status="fail", sentence=sentence, remedy=_CALL_EVAL)
    apart = gap(in_eval, in_training)
    if not behaviour.random and apart > _SAME_SCORES:
        return Finding(
            status="fail",
            sentence="predict depends on training mode",
            value=apart,
            bound=f"scores differ by at most {_SAME_SCORES:g} of their size",
            remedy=_CALL_EVAL,
        )
    if not all(left_in_training):
        return Finding(status="warn", sentence="predict leaves the model in eval mode")
    return Finding(status="pass", sentence="predict decides in eval mode and puts the mode back")


EVAL_MODE = Check(
    id="eval-mode", title="predict decides in evaluation mode", needs="model", run=eval_mode,
    overstates=False,
)  # fmt: skip


def determinism(model: CheckedModel) -> Finding:
    """Read from its behaviour whether the model gives the same answers to the same images."""
    behaviour = model.behaviour
    if not behaviour.random:
        return Finding(status="pass", sentence="the same answers to the same images")
    if behaviour.remembers:
        sentence = "answers change from call to call, with the model's buffers"
        return Finding(status="fail", sentence=sentence)
    if not behaviour.seeded:
        return Finding(
            status="fail",
            sentence="it is random, and its draws cannot be seeded",
            remedy="draw from torch's global generator",
        )
    if not behaviour.drawn:
        sentence = f"it is random, and cannot be judged by draws: {behaviour.refuses}"
        return Finding(status="fail", sentence=sentence)
    return Finding(status="warn", sentence=f"random: judged by {VOTES} draws")


DETERMINISM = Check(
    id="determinism", title="the same images get the same answers", needs="model", run=determinism,
    masks=True, overstates=False,
)  # fmt: skip


def batch_size(model: CheckedModel) -> Finding:
    """Read from its behaviour whether an image's scores depend on its batch."""
    behaviour = model.behaviour
    if behaviour.batch_dependent:
        value = behaviour.batch_dependent
        return Finding(status="fail", sentence=behaviour.dependence(), value=value)
    if behaviour.refuses:
        return Finding(status="fail", sentence=behaviour.refuses)
    if behaviour.batch_dependent is None:
        sentence = "not known: draws that cannot be seeded differ in every batch"
        return Finding(status="warn", sentence=sentence)
    return Finding(status="pass", sentence="the same scores beside other images, in other batches")


BATCH_SIZE = Check(
    id="batch-size", title="scores do not depend on the batch", needs="model", run=batch_size,
    overstates=False,
)  # fmt: skip


def images_kept(model: CheckedModel) -> Finding:
    """Read from its behaviour whether the model writes into its images."""
    if model.behaviour.writes_input:
        return Finding(
            status="fail",
            sentence="predict writes into the images it is given",
            remedy="let it work on a copy",
        )
    return Finding(status="pass", sentence="predict leaves the images it is given as they are")


IMAGES_KEPT = Check(
    id="images-kept", title="predict leaves its images as they are", needs="model", run=images_kept,
    overstates=False,
)  # fmt: skip


def buffers(model: CheckedModel) -> Finding:
    """Read from its behaviour whether a call changes buffers of the model."""
    behaviour = model.behaviour
    if not behaviour.changes_state:
        return Finding(status="pass", sentence="predict leaves the model's buffers as they are")
    later_answers_change = behaviour.remembers or bool(behaviour.training)
    return Finding(status="fail" if later_answers_change else "warn", sentence=behaviour.buffers())


BUFFERS = Check(
    id="buffers", title="predict leaves the model's buffers as they are", needs="model", run=buffers,
    overstates=False,
)  # fmt: skip


def clean_accuracy(model: CheckedModel) -> Finding:
    """Compare the accuracy with that on the model's card, else with chance, within three standard errors.

    A card is of the model's own data set: of other images for its models, such as corrupted ones, it says nothing.
    """
    n, spec = len(model.labels), model.judge.spec
    accuracy = int((model.prediction.labels == model.labels).sum()) / n
    sentence = f"{accuracy:.1%} of the first {n} test images"
    folder = weights_folder(spec.name)
    card = read_card(folder, spec.name) if folder else None
    declared = card["clean_accuracy"] if card and model.data == spec.data else None
    if declared is not None:
        slack = 3 * math.sqrt(declared * (1 - declared) / n)
        return Finding(
            status="pass" if abs(accuracy - declared) <= slack else "fail",
            sentence=f"{sentence}; its card says {declared:.1%}",
            value=accuracy,
            bound=f"{declared:.1%} ± {slack:.1%}",
        )
    chance = 1 / spec.num_classes
    least = chance + 3 * math.sqrt(chance * (1 - chance) / n)
    bound = f"more than {least:.1%}"
    if accuracy > least:
        return Finding(status="pass", sentence=sentence, value=accuracy, bound=bound)
    return Finding(
        status="fail",
        sentence=f"{sentence}, no better than chance ({chance:.1%})",
        value=accuracy,
        bound=bound,
        remedy="check normalisation and label order",
    )


CLEAN_ACCURACY = Check(
    id="clean-accuracy",
    title="accuracy is that of the model's card, or above chance",
    needs="model",
    run=clean_accuracy,
    overstates=False,
)
