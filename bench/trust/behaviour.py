"""How a model answers when it is asked again and in other batches, observed before it is attacked.

Each fault has a test of its own, so that none is taken for another: the generators are seeded alike
unless the test is about randomness, what a call leaves in the model's buffers is put back unless the
test is about memory, and every call gets images of its own, since a model may write into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import torch

from bench.adapters.abilities import SeedsDraws
from bench.adapters.random import VOTES, RandomAdapter
from bench.spec import Adapter, Random
from bench.trust.watch import Watch, gap, gaps, one_line

#: Images that a model is observed on.
IMAGES = 32

#: How far an image's scores may differ, relative to their size, by rounding alone: in a batch of the
#: same shape, which is computed the same way, and in one of another shape. On a GPU sums may be added
#: up in any order, and half precision is rounded otherwise in a batch of another shape.
_SAME_SHAPE = {"cpu": 1e-6, "cuda": 1e-5}
_OTHER_SHAPE = 0.05

#: Sizes of the other batches that images are shown in.
_SIZES = (1, 7)

#: Copies of one image that a random model is shown in a call, the number of calls, and how many times as
#: much the means of calls may vary as those of independent draws would. One model in a hundred exceeds
#: that by chance, which only costs time.
_COPIES, _CALLS, _MORE = 32, 4, 4.0

#: Seeds under which a random model is shown an image beside other images, and how large the mean square
#: of the change must be, in standard errors, to be no effect of other draws (which give 2).
_SEEDS, _CLEARLY = 5, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a model was seen to answer.

    Attributes:
        random: whether answers to the same batch differ from call to call.
        per_call: of a random model, whether one call draws once for all its images, so that draws
            are calls of their own.
        seeded: whether answers repeat where the generators are seeded alike; a model that draws
            from one of its own cannot be seeded.
        batch_dependent: the largest relative difference of an image's scores in another batch, or
            0 where there is none but of rounding; None of a random model that cannot be seeded.
        refuses: why the model cannot answer some number of images, in words; None where it can.
        writes_input: whether it writes into the images it is given.
        changes_state: names of the buffers that a call changes.
        remembers: whether these change later answers.
        training: kinds of its parts that are in training mode while it predicts.
        fails: why it cannot be asked at all, in words; nothing else is known then.
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
        """Return whether the model is to be judged by repeated draws: of one image, so it must take one."""
        return self.random and not (self.per_call and self.refuses)

    def notes(self) -> list[str]:
        """Return a sentence for each thing a reader of the model's figures has to know."""
        if self.fails:
            return [f"cannot be asked: {self.fails}"]
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
        return "random, and not to be asked about one image alone, so judged by a single draw"

    def buffers(self) -> str:
        """Return in words which buffers a call changes."""
        names = ", ".join(self.changes_state[:3])
        more = f" and {len(self.changes_state) - 3} more" if self.changes_state[3:] else ""
        later = ", which change its later answers" if self.remembers else ""
        return f"each call changes its buffers {names}{more}{later}"

    def dependence(self) -> str:
        """Return in words that answers depend on the other images of the batch."""
        words = "answers depend on the other images of the batch"
        by = self.batch_dependent or 0.0
        if isfinite(by):
            words += f" (scores by up to {by:.1%})" if by >= 1e-3 else " (scores by less than 0.1%)"
        if self.drawn:
            return f"{words}; each image is judged alone"
        return f"{words}: figures hold for this --batch-size alone"


def observe(adapter: Adapter, x: torch.Tensor) -> Behaviour:
    """Return how a model answers; it is asked about at most 32 images some five times.

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
    first, again, other = watch.ask(x), watch.ask(x), watch.ask(x, seed=1)
    limit = _SAME_SHAPE[watch.device.type if watch.device.type in _SAME_SHAPE else "cuda"]
    unlike, by_seed = gap(first, again), gaps(first, other)
    # On a GPU equal calls may differ by more than usual; what other seeds do has to stand out.
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
    """Return whether what earlier calls left in the buffers changes an answer."""
    watch.ask(x, keep=True)
    later = watch.ask(x, keep=True)
    watch.put_back()
    return gap(first, later) > limit


def _beside_negatives(
    watch: Watch, x: torch.Tensor, first: torch.Tensor, limit: float, by_seed: bool
) -> float:
    """Return how far scores differ where every second image is replaced by its negative.

    The batch keeps its shape, and each image that is compared keeps its place, so that it is computed
    the same way and a seeded model makes the same draws for it.
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
    """Return whether the other images of a batch change scores on the mean over seeds.

    A model whose draws for one image take more random numbers than those for another (Poisson
    noise) makes other draws for an image beside others, which is no dependence.
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
    """Return how far scores differ in batches of other sizes and orders, and which are refused."""
    worst = 0.0
    for size in (size for size in _SIZES if size < len(x)):
        try:
            scores = watch.ask(x[:size])
        except Exception as error:
            images = "one image alone" if size == 1 else f"{size} images"
            return worst, f"cannot be asked about {images}: {one_line(error)}"
        if compare:
            turned = watch.ask(x[:size].flip(0)).flip(0)
            apart = max(gap(first[:size], scores), gap(scores, turned))
            worst = max(worst, apart) if apart > _OTHER_SHAPE else worst
    return worst, None


def _draws_once(watch: Watch, image: torch.Tensor) -> bool:
    """Return whether all images of a call get the same draw, or draws that depend on each other.

    Of independent draws the means of calls vary by the variance within a call over the copies.
    """
    copies = image.expand(_COPIES, *image.shape)
    scores = torch.stack([watch.ask(copies, seed) for seed in range(_CALLS)])
    within = scores.var(1).mean(0).sum()
    between = _COPIES * scores.mean(1).var(0).sum()
    # An image on which no draw was seen shows nothing; a call for each draw is never wrong.
    return not bool((within > 0) & (between <= _MORE * within))


def judged(adapter: Adapter, x: torch.Tensor) -> tuple[Adapter, Behaviour]:
    """Return a model as it is to be judged, by repeated draws where it is random, and its behaviour.

    Args:
        adapter: the model.
        x: images of its data set, float32 (N, C, H, W) in [0, 1]; the first 32 are used.
    """
    if isinstance(adapter, SeedsDraws):  # its answers repeat, and each may take a hundred passes
        return adapter, Behaviour(random=isinstance(adapter, Random), per_call=adapter.per_call)
    behaviour = observe(adapter, x)
    if not behaviour.drawn:
        return adapter, behaviour
    return RandomAdapter(inner=adapter, per_call=behaviour.per_call), behaviour
