"""Whether the images that attacks tried can count, and whether the stored rows call the right ones successes."""

from __future__ import annotations

import pandas as pd

from bench.measure.outcomes import INVALID_ABOVE, Outcomes
from bench.store.columns import attacked
from bench.store.results import Results
from bench.trust.bounds import Bounds
from bench.trust.checks.registry import Check, Finding
from bench.trust.moves import MOVING, moves
from bench.trust.tried import images, in_short, looked_at, tried

#: Of norms, which are of float32 pixels.
_ROUNDING = 1e-5


def rows_agree_with_themselves(results: Results) -> Finding:
    """Judge each stored success again by its row: within the radius, without fault, with another label."""
    rows = results.rows
    tried_rows = attacked(rows)
    count = int(tried_rows.sum())
    if not count:
        return Finding(status="not applicable", sentence="no image was attacked")
    for what, found in _contradictions(rows).items():
        there = tried_rows & found
        if there.any():
            first = rows.loc[there, ["index", "cell"]].iloc[0]
            return Finding(
                status="fail", value=float(there.sum()), bound="no row", cell=str(first["cell"]),
                sentence=f"{what} in {int(there.sum())} of {count} rows, first for image {first['index']} of cell "
                f"{str(first['cell'])[:12]}: rows were changed, or a faulty version wrote them",
                remedy="run the suite again with `--overwrite always`",
            )  # fmt: skip
    return Finding(
        status="pass", value=0.0, bound="no row",
        sentence=f"of {count} rows, all that say success are one by their own label and norm",
    )  # fmt: skip


def _contradictions(rows: pd.DataFrame) -> dict[str, pd.Series[bool]]:
    """Return where rows of attacked images contradict themselves, by how; those of other images may do so."""
    success = rows["success"]
    same = (rows["adv_label"] == rows["label"]).fillna(False).astype(bool)
    aimed = rows["goal"].isin(("targeted", "source-target"))
    elsewhere = (rows["adv_label"] != rows["target"]).fillna(False).astype(bool)
    l1, l2, linf = (rows[norm].astype("float64") for norm in ("l1", "l2", "linf"))
    slack = 1 + _ROUNDING
    unordered = (linf > l2 * slack + 1e-9) | (l2 > l1 * slack + 1e-9)
    outside = pd.Series(False, index=rows.index)
    for norm in rows["norm"].unique():
        limit = rows["eps"].astype("float64") * (1 + 2 * _ROUNDING) + 2e-6
        outside |= (rows["norm"] == norm) & (rows[norm].astype("float64") > limit)
    return {
        "a success lies outside its radius": success & outside,
        "a success has a reason why it cannot count": success & rows["invalid"].notna(),
        "a success still has the right label": success & same & (rows["goal"] != "confidence-reduction"),
        "a success has another label than the wanted one": success & aimed & elsewhere,
        "a norm is above one that is always at least as large": unordered,
    }  # fmt: skip


def images_have_valid_attacks(outcomes: Outcomes) -> list[Finding]:
    """Find the threats under which no attack was valid on some images, by the rule of the headline."""
    hints = outcomes.cells.set_index("cell")["hint"]
    compared, findings = 0, []
    for at in tried(outcomes):
        if not at.untargeted:
            continue
        compared += 1
        own = [hint for cell in at.untargeted if (hint := hints[cell.key])]
        worst = at.group.within(at.eps, [cell.key for cell in at.untargeted])
        if worst.notes:
            share = max(
                worst.untested / max(worst.attacked, 1), worst.not_finite / max(len(worst.robust), 1)
            )  # fmt: skip
            findings.append(at.found(
                "fail" if worst.invalid else "warn",
                f"{' and '.join(worst.notes)}: nothing shows whether these are robust"
                + "".join(f" ({hint})" for hint in dict.fromkeys(own)),
                value=share, bound=f"at most {INVALID_ABOVE:.0%}",
                remedy='add an attack that needs no gradient, such as name = "square", to the suite',
            ))  # fmt: skip
    return in_short(
        findings, compared, "each image withstood or fell to some valid attack",
        "no attack counts that an image could withstand",
    )  # fmt: skip


def attacks_move_images(outcomes: Outcomes) -> list[Finding]:
    """Find attacks that return images as they were, of those that move every image they are given."""
    share = Bounds(outcomes.results.bounds)["moved-images.unmoved"]
    by_cell = moves(outcomes)
    compared, findings = 0, []
    for at in tried(outcomes):
        still = {
            cell: by_cell[cell.key].still / by_cell[cell.key].valid for cell in at.gradient
            if cell.attack in MOVING and cell.key in by_cell and by_cell[cell.key].valid
        }  # fmt: skip
        if not still:
            continue
        compared += 1
        worst = max(still, key=lambda cell: still[cell])
        if still[worst] > share:
            findings.append(at.found(
                at.status([cell for cell in still if still[cell] > share]),
                f"{worst.name} returns {still[worst]:.0%} of its images as they were, so it did not attack these",
                value=still[worst], bound=f"at most {share:.0%} of images", cell=worst.key,
                remedy=looked_at(at, worst),
            ))  # fmt: skip
    return in_short(
        findings, compared, "attacks move the images", "no attack was made that moves every image"
    )


def images_tried_count(outcomes: Outcomes) -> list[Finding]:
    """Note attacks that return images which cannot count, such as over budget or out of range."""
    share = Bounds(outcomes.results.bounds)["spoilt-images.share"]
    by_cell = moves(outcomes)
    compared, findings = 0, []
    for at in tried(outcomes):
        spoilt = {
            cell: by_cell[cell.key].invalid / by_cell[cell.key].attacked
            for cell in at.planned if cell.key in by_cell
        }  # fmt: skip
        if not spoilt:
            continue
        compared += 1
        worst = max(spoilt, key=lambda cell: spoilt[cell])
        if spoilt[worst] > share:
            facts = by_cell[worst.key]
            findings.append(at.found(
                "warn",
                f"{facts.invalid} of {images(facts.attacked)} that {worst.name} tried cannot count ({facts.why}): they "
                "are neither broken nor robust by this attack",
                value=spoilt[worst], bound=f"at most {share:.1%} of images", cell=worst.key,
                remedy=f"see them with `bench show {worst.key[:12]}`",
            ))  # fmt: skip
    return in_short(
        findings, compared, "images that attacks tried are finite, in range and within their radius",
        "no image was attacked",
    )  # fmt: skip


STORED_ROWS = Check(
    id="stored-rows", title="rows agree with themselves", needs="cells",
    run=rows_agree_with_themselves, overstates=False,
)  # fmt: skip
VALID_IMAGES = Check(
    id="valid-images", title="every image had a valid attack", needs="rows",
    run=images_have_valid_attacks, masks=True,
)  # fmt: skip
MOVED = Check(
    id="moved-images", title="attacks move the images", needs="rows", run=attacks_move_images,
    doubts=False, masks=True,
)  # fmt: skip
SPOILT = Check(
    id="spoilt-images", title="images tried can count", needs="rows", run=images_tried_count,
    doubts=False,
)  # fmt: skip
