"""Computes `cost-on-clusters.md`: what RobustBench's CIFAR-10 leaderboard costs on 1, 8 and 64 GPUs.

    python docs/cost_on_clusters.py             the page, from the measured inputs in cost-on-clusters.json
    python docs/cost_on_clusters.py --measure   these inputs first, on this machine: some fifteen minutes, without a GPU
    python docs/cost_on_clusters.py --tflops 35 the page for GPUs of another speed

All numbers on the page are computed or measured, except the assumptions that it lists.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INPUTS, PAGE = HERE / "cost-on-clusters.json", HERE / "cost-on-clusters.md"

IMAGES, GPUS = 10_000, (1, 8, 64)
#: Depth and width of the networks, and how many of a hundred: the shares among RobustBench's wide residual networks.
NETWORKS = {
    "WRN-28-10": ((28, 10), 43),
    "WRN-34-10": ((34, 10), 31),
    "WRN-34-20": ((34, 20), 7),
    "WRN-70-16": ((70, 16), 19),
}
#: Share of images that a network of the list classifies correctly, and of those that withstand AutoAttack.
CLEAN, ROBUST = 0.89, 0.60
TFLOPS = 20.0
#: Of AutoAttack.
PARTS = ("apgd-ce", "apgd-t", "fab-t", "square")


def seconds(attack: str, network: str, inputs: dict[str, Any], tflops: float) -> float:
    """Return the seconds that a cell takes one GPU: passes of the images that withstand it and of those that do not."""
    forward, backward = (float(count) for count in inputs["flops"][network])
    used = inputs["passes"][attack]
    work = sum(
        share * (of["forwards"] * forward + of["backwards"] * backward)
        for share, of in ((ROBUST, used["withstood"]), (CLEAN - ROBUST, used["broken"]))
    )
    chunks = IMAGES / 100
    return (
        IMAGES * work / (tflops * 1e12)
        + chunks * inputs["store"]["chunk_seconds"]
        + inputs["ray"]["task_seconds"]
    )


def makespan(durations: Sequence[float], places: int) -> float:
    """Return when the last of some tasks ends, each of which goes in turn to the place that is free first."""
    free = [0.0] * places
    for duration in durations:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def cells(attacks: Sequence[str], inputs: dict[str, Any], tflops: float) -> list[float]:
    """Return the seconds of all cells of the leaderboard, the longest first, as a run starts them."""
    each = (
        seconds(attack, name, inputs, tflops)
        for name, (_, count) in NETWORKS.items()
        for attack in attacks
        for _ in range(count)
    )
    return sorted(each, reverse=True)


def page(inputs: dict[str, Any], tflops: float = TFLOPS) -> str:
    """Return the page."""
    whole, parts = cells(["autoattack"], inputs, tflops), cells(PARTS, inputs, tflops)
    saturates = {name: sum(of) / max(of) for name, of in (("whole", whole), ("parts", parts))}
    store, ray, simulated = inputs["store"], inputs["ray"], inputs["simulated"]
    said = expected(simulated, ray["task_seconds"])
    rows = [
        f"| {gpus} | {_time(makespan(whole, gpus))} | {_busy(whole, gpus)} | {_time(makespan(parts, gpus))} | {_busy(parts, gpus)} |"
        for gpus in GPUS
    ]
    networks = "\n".join(
        f"| {name} | {count} | {inputs['flops'][name][0] / 2e9:.1f} | {_time(seconds('autoattack', name, inputs, tflops))} |"
        for name, (_, count) in NETWORKS.items()
    )
    passes = "\n".join(
        f"| {name} | {of['withstood']['forwards']:,.0f} | {of['withstood']['backwards']:,.0f} | "
        f"{of['broken']['forwards']:,.0f} | {of['broken']['backwards']:,.0f} |"
        for name, of in inputs["passes"].items()
    )
    size, sizes = store["cell_bytes"] * len(whole), store["cell_bytes"] * len(parts)
    return _PAGE.format(
        images=IMAGES, tflops=tflops, clean=CLEAN, robust=ROBUST, rows="\n".join(rows), networks=networks,
        passes=passes, units=len(whole), units_parts=len(parts), longest=_time(max(whole)),
        longest_parts=_time(max(parts)), saturates=saturates["whole"], saturates_parts=saturates["parts"],
        size=size / 1e6, size_parts=sizes / 1e6, cell=store["cell_bytes"] / 1e6, extra=sum(parts) / sum(whole),
        chunk=store["chunk_seconds"] * 1e3, chunks=IMAGES // 100, task=ray["task_seconds"] * 1e3,
        rate=1 / ray["task_seconds"], short=64 * ray["task_seconds"], tasks=simulated["tasks"], slots=simulated["slots"],
        sleep=simulated["sleep"], own=simulated["own"], expected=said, measured=simulated["measured"],
        ratio=simulated["measured"] / said, cells_simulated=simulated["cells"],
        machine=inputs["machine"],
    )  # fmt: skip


def _time(taken: float) -> str:
    if taken < 3600:
        return f"{taken / 60:.0f} minutes"
    return f"{taken / 3600:.1f} hours" if taken < 3 * 86400 else f"{taken / 86400:.1f} days"


def _busy(durations: Sequence[float], gpus: int) -> str:
    return f"{sum(durations) / gpus / makespan(durations, gpus):.0%}"


_PAGE = """\
# What a leaderboard costs on a cluster

All of RobustBench's CIFAR-10 leaderboard in linf: 100 networks, {images:,} images, AutoAttack as published.
`python docs/cost_on_clusters.py` computes this page: all numbers are computed or measured, except the assumptions below.

| GPUs | AutoAttack as one cell | GPUs busy | its four parts as cells | GPUs busy |
|---:|---:|---:|---:|---:|
{rows}

**Units.** A cell is a unit of work, and a task of `bench run --executor ray`: {units} where AutoAttack is one cell,
{units_parts} where a suite names its parts (`apgd-ce`, `apgd-t`, `fab-t`, `square`). The parts take {extra:.2f} times the work, since
each attacks all images instead of those that withstood the ones before; the worst case of an image is over all of them either way.

**Where it saturates.** No run is shorter than its longest cell: {longest} for AutoAttack on the largest network, {longest_parts} for the
longest part. More than {saturates:.0f} GPUs ({saturates_parts:.0f} with the parts) do not help. The longest cells start first.

**Bytes.** {cell:.2f} MB a cell, rows and the first 16 images: {size:,.0f} MB in all ({size_parts:,.0f} MB with the parts).

**Scheduler and store.** Tasks that do nothing but save a small cell take {task:.1f} ms each, with the command, Ray and all tasks on the same
two cores: {rate:.0f} tasks a second. This holds 64 GPUs back only if a task takes less than
{short:.1f} s. The {chunks} chunks of a
cell take {chunk:.1f} ms each to save.
Checked with {tasks:,} tasks that sleep {sleep} s and save a cell, which makes {own:.2f} s a task, on a cluster of {slots} task slots (processes
on two cores): {measured:,.0f} s, {ratio:.2f} times the {expected:,.0f} s that this model says; all {cells_simulated:,} cells were there.

## Assumptions

We assume, and did not measure, that a GPU makes {tflops:.0f} TFLOP/s in these networks, 100 images at once (`--tflops` computes the page for another speed; all times but
those of scheduler and store are in proportion). {clean:.0%} of the images are classified correctly and {robust:.0%} withstand
AutoAttack. The hundred networks, with the cost of a forward pass as counted and that of a cell
(a backward pass is the gradient for the image alone, and costs about as much as a forward pass):

| network | of 100 | GMAC an image | AutoAttack on one GPU |
|---|---:|---:|---:|
{networks}

## Measured

Passes for an image, as the rows of a run count them. They do not depend on the network where an image withstands:

| attack | forward, withstood | backward, withstood | forward, broken | backward, broken |
|---|---:|---:|---:|---:|
{passes}

Scheduler and store were measured on {machine}.
"""


def expected(of: dict[str, Any], task_seconds: float) -> float:
    """Return the seconds that the model says of a simulated cluster: of its places, or of what drives them."""
    return max(makespan([of["own"]] * of["tasks"], of["slots"]), of["tasks"] * task_seconds)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="measure the inputs first")
    parser.add_argument("--tflops", type=float, default=TFLOPS, help="what a GPU makes")
    asked = parser.parse_args()
    if asked.measure:
        import cluster_measurements

        INPUTS.write_text(json.dumps(cluster_measurements.measure(), indent=1) + "\n")
    PAGE.write_text(page(json.loads(INPUTS.read_text()), asked.tflops))


if __name__ == "__main__":
    main()
