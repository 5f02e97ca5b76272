"""How a model answers to repeated calls and in other batches, observed before it is attacked.

Each fault has its own test, so that none is mistaken for another: generators get the same seed unless the
test is about randomness, changes of the model's buffers are undone unless the test is about memory, and
every call gets its own images, since a model may write into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import torch

from bench.adapters.abilities import SeedsDraws
from bench.adapters.random import VOTES, RandomAdapter
from bench.spec import Adapter, Random
from bench.trust.watch import Watch, gap, gaps, one_line

#: How many images a model is observed on.
IMAGES = 32

#: How far an image's scores may differ by rounding, relative to their size: in a batch of the same shape,
#: which is computed the same way, and in one of another shape. On a GPU sums may be accumulated in any order,
#: and half precision is rounded differently in a batch of another shape.
_SAME_SHAPE = {"cpu": 1e-6, "cuda": 1e-5}
_OTHER_SHAPE = 0.05

#: Sizes of the other batches that images are predicted in.
_SIZES = (1, 7)

#: Copies of one image in a call to a random model, the number of calls, and the largest ratio of the variance
#: of the calls' means to that under independent draws. One model in a hundred exceeds it by chance, which
#: only costs time.
_COPIES, _CALLS, _MORE = 32, 4, 4.0

#: Seeds under which a random model gets an image beside other images, and from which mean square the change,
#: in standard errors, is no effect of other draws (which give 2).
_SEEDS, _CLEARLY = 5, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The observed behaviour of a model.

    Attributes:
        random: whether answers to the same batch differ from call to call.
        per_call: for a random model, whether the images of one call share a draw, so that each draw
            needs a call of its own.
        seeded: whether answers repeat under the same seed; not so for a model that draws from a
            generator of its own.
        batch_dependent: the largest relative difference of an image's scores in another batch; 0 if
            rounding explains it; None for a random model that cannot be seeded.
        refuses: why the model fails on some number of images, in words; None if it does not.
        writes_input: whether it writes into the images it is given.
        changes_state: names of the buffers that a call changes.
        remembers: whether these change later answers.
        training: kinds of its layers that are in training mode while it predicts.
        fails: why every prediction fails, in words; then nothing else is known.
    """

    random: bool = False
    per_call: bool = False
    seeded: bool = True
    batch_dependent: float | None = 0.0
    refuses: str | None = None
    writes_input: bool = False
    changes_state: tuple[str, ...] = ()
    remembers: bool = False
    training: tuple[str, ...] = ()
    fails: str | None = None

    @property
    def drawn(self) -> bool:
        """Return whether the model is judged by repeated draws; these need calls with a single image."""
        return self.random and not (self.per_call and self.refuses)

    def notes(self) -> list[str]:
        """Return a sentence for each thing a reader of the model's figures has to know."""
        if self.fails:
            return [f"cannot predict: {self.fails}"]
        notes = []
        if self.training:
            kinds = " and ".join(self.training)
            notes.append(f"{kinds} in training mode while it predicts: call eval()")
        if self.random:
            notes.append(self._random())
        if self.random and not self.seeded and not self.remembers:
            notes.append(
                "its random draws cannot be seeded (a generator of its own?): "
                "a second run gives other rows"
            )
        if self.batch_dependent:
            notes.append(self.dependence())
        if self.refuses:
            notes.append(self.refuses)
        if self.writes_input:
            notes.append("writes into the images it is given: let it work on a copy")
        if self.changes_state:
            notes.append(self.buffers())
        return notes

    def _random(self) -> str:
        if self.drawn:
            return f"random, so each image is judged by {VOTES} draws"
        return "random, but it cannot predict one image alone, so each image is judged by a single draw"

    def buffers(self) -> str:
        """Return a sentence on which buffers a call changes."""
        names = ", ".join(self.changes_state[:3])
        more = f" and {len(self.changes_state) - 3} more" if self.changes_state[3:] else ""
        later = ", which change its later answers" if self.remembers else ""
        return f"each call changes its buffers {names}{more}{later}"

    def dependence(self) -> str:
        """Return a sentence on how answers depend on the other images of the batch."""
        words = "answers depend on the other images of the batch"
        by = self.batch_dependent or 0.0
        if isfinite(by):
            words += f" (scores by up to {by:.1%})" if by >= 1e-3 else " (scores by less than 0.1%)"
        if self.drawn:
            return f"{words}; each image is judged alone"
        return f"{words}: figures hold for this --batch-size alone"


def observe(adapter: Adapter, x: torch.Tensor) -> Behaviour:
    """Return the behaviour of a model, from about five calls with at most 32 images.

    Args:
        adapter: the model.
        x: images of its data set, float32 (N, C, H, W) in [0, 1]; the first 32 are used.
    """
    watch = Watch(adapter)
    try:
        return _observed(watch, x[:IMAGES])
    except Exception as error:  # a model is anybody's code; one that fails must not end the run
        return Behaviour(fails=one_line(error))
    finally:
        watch.put_back()


def _observed(watch: Watch, x: torch.Tensor) -> Behaviour:
    first, again, other_seed = watch.ask(x), watch.ask(x), watch.ask(x, seed=1)
    limit = _SAME_SHAPE[watch.device.type if watch.device.type in _SAME_SHAPE else "cuda"]
    unlike, by_seed = gap(first, again), gaps(first, other_seed)
    # On a GPU equal calls may differ by more than usual; the effect of other seeds has to exceed that.
    limit = max(limit, 10 * unlike) if unlike <= 10 * limit else limit
    seeded_alike = unlike <= limit
    remembers = bool(watch.changed) and _remembers(watch, x, first, limit)
    is_random = remembers or not seeded_alike or float(by_seed.max()) > limit
    can_be_compared = seeded_alike
    depends, refuses = None, None
    if can_be_compared:
        depends = _beside_negatives(
            watch, x, first, 10 * limit, by_seed=is_random and not remembers
        )
    sizes, refuses = _other_sizes(watch, x, first, compare=can_be_compared and not is_random)
    if depends is not None:
        depends = max(depends, sizes)
    return Behaviour(
        random=is_random,
        per_call=is_random and (bool(depends) or _draws_once(watch, x[int(by_seed.argmax())])),
        seeded=seeded_alike and not remembers,
        batch_dependent=depends,
        refuses=refuses,
        writes_input=watch.writes,
        changes_state=tuple(watch.changed),
        remembers=remembers,
        training=tuple(watch.training),
    )


def _remembers(watch: Watch, x: torch.Tensor, first: torch.Tensor, limit: float) -> bool:
    """Return whether changes of the buffers by earlier calls change an answer."""
    watch.ask(x, keep=True)
    later = watch.ask(x, keep=True)
    watch.put_back()
    return gap(first, later) > limit


def _beside_negatives(
    watch: Watch, x: torch.Tensor, first: torch.Tensor, limit: float, by_seed: bool
) -> float:
    """Return how far scores differ if every second image is replaced by its negative.

    The batch keeps its shape and each compared image keeps its position, so that it is computed the same
    way and a seeded model makes the same draws for it.
    """
    worst = 0.0
    for kept in (slice(0, None, 2), slice(1, None, 2)):
        batch = 1 - x
        batch[kept] = x[kept]
        apart = gap(first[kept], watch.ask(batch)[kept])
        if apart > limit and (not by_seed or _more_than_draws(watch, x, batch, kept)):
            worst = max(worst, apart)
    return worst


def _more_than_draws(watch: Watch, x: torch.Tensor, batch: torch.Tensor, kept: slice) -> bool:
    """Return whether the other images of a batch change scores in the mean over seeds.

    If the number of random numbers drawn for an image depends on the image (Poisson noise), the draws for
    its neighbours change, which is no dependence.
    """
    changes = torch.stack([
        watch.ask(batch, seed)[kept] - watch.ask(x, seed)[kept] for seed in range(_SEEDS)
    ])  # fmt: skip
    error = changes.var(0) / _SEEDS
    squares = changes.mean(0).square()
    return bool(squares.sum() > _CLEARLY * error.sum())


def _other_sizes(
    watch: Watch, x: torch.Tensor, first: torch.Tensor, compare: bool
) -> tuple[float, str | None]:
    """Return how far scores differ in batches of other sizes and orders, and which sizes fail."""
    worst = 0.0
    for size in (size for size in _SIZES if size < len(x)):
        try:
            scores = watch.ask(x[:size])
        except Exception as error:
            images = "one image alone" if size == 1 else f"{size} images"
            return worst, f"cannot predict {images}: {one_line(error)}"
        if compare:
            turned = watch.ask(x[:size].flip(0)).flip(0)
            apart = max(gap(first[:size], scores), gap(scores, turned))
            worst = max(worst, apart) if apart > _OTHER_SHAPE else worst
    return worst, None


def _draws_once(watch: Watch, image: torch.Tensor) -> bool:
    """Return whether all images of a call share a draw, or have draws that depend on each other.

    With independent draws, the variance of the calls' means is the variance within a call divided by the
    number of copies.
    """
    copies = image.expand(_COPIES, *image.shape)
    scores = torch.stack([watch.ask(copies, seed) for seed in range(_CALLS)])
    within = scores.var(1).mean(0).sum()
    between = _COPIES * scores.mean(1).var(0).sum()
    # If the draws do not change this image's scores, assume a shared draw: one call per draw is never wrong.
    return not bool((within > 0) & (between <= _MORE * within))


def judged(adapter: Adapter, x: torch.Tensor) -> tuple[Adapter, Behaviour]:
    """Return a model in the form in which it is judged (by repeated draws if random), and its behaviour.

    Args:
        adapter: the model.
        x: images of its data set, float32 (N, C, H, W) in [0, 1]; the first 32 are used.
    """
    if isinstance(adapter, SeedsDraws):  # its answers repeat, and one may take a hundred passes
        return adapter, Behaviour(random=isinstance(adapter, Random), per_call=adapter.per_call)
    behaviour = observe(adapter, x)
    if not behaviour.drawn:
        return adapter, behaviour
    return RandomAdapter(inner=adapter, per_call=behaviour.per_call), behaviour
