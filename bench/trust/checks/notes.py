"""What a reader has to know of the figures of a run, though none is wrong for it: units, sizes, equal cost."""

from __future__ import annotations

from bench.measure.outcomes import Outcomes
from bench.measure.statistics import wilson
from bench.store.results import Results
from bench.trust.bounds import Bounds
from bench.trust.checks.registry import Check, Finding
from bench.trust.tried import images, tried


def radii_are_in_pixels(results: Results) -> list[Finding]:
    """Note radii in linf that look as if they were meant in other units than pixels of [0, 1]."""
    bounds = Bounds(results.bounds)
    low, high = bounds["eps-units.low"], bounds["eps-units.high"]
    linf = results.cells[(results.cells["norm"] == "linf") & results.cells["radius"].notna()]
    radii = dict(zip(linf["radius"].astype(float), linf["eps"], strict=True))
    if not radii:
        return [Finding(status="not applicable", sentence="no attack has a radius in linf")]
    findings = [
        Finding(
            status="warn", value=eps, bound=f"from {low:.2g} to {high:g}", norm="linf", eps=eps,
            subject=f"linf {text}",
            sentence=f"within linf {text} every image can be turned into the same grey one" if eps > high
            else f"linf {text} is less than half a step of an 8-bit image, and is lost where it is saved as one",
            remedy='eps is in pixels of [0, 1]: write eight steps of 255 as eps = "8/255"',
        )
        for eps, text in sorted(radii.items()) if not low <= eps <= high
    ]  # fmt: skip
    fine = "radii in linf are of the usual size for pixels of [0, 1]"
    return findings or [Finding(status="pass", sentence=fine, bound=f"from {low:.2g} to {high:g}")]


def images_are_enough(outcomes: Outcomes) -> Finding:
    """Note figures of so few images that they are good for a first look alone."""
    least = Bounds(outcomes.results.bounds)["sample-size.least"]
    sizes = {
        at: int(at.group.attacked_by_all(cell.key for cell in at.untargeted).sum())
        for at in tried(outcomes) if at.untargeted
    }  # fmt: skip
    if not sizes:
        return Finding(status="not applicable", sentence="no attack counts")
    fewest = min(sizes, key=lambda at: sizes[at])
    n = sizes[fewest]
    low, high = wilson(n // 2, n)
    width = f"a share of one half is known to within {(high - low) * 50:.0f} points"
    bound = f"at least {least:.0f} images"
    if n >= least:
        sentence = f"on {images(n)}, the fewest of any figure, {width}"
        return Finding(status="pass", value=float(n), bound=bound, sentence=sentence)
    few = sum(size < least for size in sizes.values())
    return Finding(
        status="warn", value=float(n), bound=bound, remedy=f"run the suite with `--images {least:.0f}` or more",
        sentence=f"{few} of {len(sizes)} figures are of fewer than {least:.0f} images, which is a smoke test: on "
        f"{images(n)} ({fewest.model}, {fewest.threat}) {width}",
    )  # fmt: skip


def clean_images_are_right(outcomes: Outcomes) -> Finding:
    """Note how many images the model that does worst gets wrong without any attack."""
    least = Bounds(outcomes.results.bounds)["clean-wrong.least"]
    shares = {model: float(right.mean()) for model, right in outcomes.clean.items() if len(right)}
    if not shares:
        return Finding(status="not applicable", sentence="no image was tried yet")
    worst = min(shares, key=lambda model: shares[model])
    right = outcomes.clean[worst]
    sentence = (
        f"{worst} gets {int((~right.astype(bool)).sum())} of {images(len(right))} wrong without any attack; they count "
        "as broken within every radius, and in no success rate of an attack"
    )
    few = shares[worst] < least
    return Finding(
        status="warn" if few else "pass", value=shares[worst], bound=f"at least {least:.0%} right",
        model=worst, sentence=sentence,
        remedy="read success rates beside robust accuracy, which is low for this alone" if few else "",
    )  # fmt: skip


def attacks_cost_alike(outcomes: Outcomes) -> Finding:
    """Note attacks of several steps that stand beside one another but had different numbers of passes."""
    within = Bounds(outcomes.results.bounds)["equal-passes.within"]
    widest = None
    for at in tried(outcomes):
        cells = [cell for cell in at.untargeted if cell.by_steps and cell.passes > 0]
        if len({cell.attack for cell in cells}) < 2:
            continue
        ends = [choose(cells, key=lambda cell: cell.passes) for choose in (min, max)]
        if widest is None or ends[1].passes / ends[0].passes > widest[1].passes / widest[0].passes:
            widest = ends
    if widest is None:
        nothing = "no two attacks of several steps were made on one model within one radius"
        return Finding(status="not applicable", sentence=nothing)
    cheap, dear = widest
    ratio, bound = dear.passes / cheap.passes, f"at most {1 + within:.2g} times as many passes"
    if ratio <= 1 + within:
        sentence = "attacks of several steps that stand beside one another had about as many passes"
        return Finding(status="pass", value=ratio, bound=bound, sentence=sentence)
    return Finding(
        status="warn", value=ratio, bound=bound,
        sentence=f"attacks had different numbers of passes, {dear.name} {dear.passes:.0f} an image and {cheap.name} "
        f"{cheap.passes:.0f}, so their success rates say nothing of which is better; the worst case stands",
        remedy="compare them by their scores at equal passes in the report",
    )  # fmt: skip


UNITS = Check(
    id="eps-units", title="radii are in pixels of [0, 1]", needs="cells", run=radii_are_in_pixels,
    doubts=False,
)  # fmt: skip
SAMPLE_SIZE = Check(
    id="sample-size", title="there are enough images", needs="rows", run=images_are_enough,
    doubts=False,
)  # fmt: skip
CLEAN_WRONG = Check(
    id="clean-wrong", title="images that are wrong anyway are counted apart", needs="rows",
    run=clean_images_are_right, doubts=False,
)  # fmt: skip
EQUAL_PASSES = Check(
    id="equal-passes", title="attacks beside one another cost alike", needs="rows",
    run=attacks_cost_alike, doubts=False,
)  # fmt: skip
