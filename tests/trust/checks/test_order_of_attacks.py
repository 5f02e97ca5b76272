"""Attacks that know or do less than others must not break more."""

from __future__ import annotations

import build
from planted import PGD, SURROGATE, asking, each, fgsm, one, pgd

from bench.trust.checks.order_of_attacks import (
    AUTOATTACK,
    BLACK_BOX,
    MORE_STEPS,
    OUTSIDE,
    SEVERAL_STEPS,
    TRANSFERRED,
)


def test_a_single_step_that_breaks_what_several_do_not_is_a_failure():
    finding = one(SEVERAL_STEPS, fgsm("0.1", range(50)), pgd("0.1", range(10, 60)))
    assert (finding.status, finding.value) == ("fail", 10 / 200)
    assert (finding.model, finding.norm, finding.eps) == ("m", "linf", 0.1)
    assert finding.sentence == (
        "the single step of fgsm (torchattacks) breaks 10 of 200 images that no attack of several steps (pgd) breaks, "
        "so these do not work as they should"
    )
    assert finding.bound == "at most 2 of 200 images"
    assert finding.remedy == 'give them `steps = 100` and `step_size = "0.01"`'


def test_two_images_of_a_single_step_are_always_allowed_and_more_on_a_surrogate():
    def on(surface, alone):
        return fgsm("0.1", range(alone), surface=surface), pgd("0.1", [], surface=surface)

    cases = on("network", 2), on("network", 3), on(SURROGATE, 10), on(SURROGATE, 11)
    assert each(SEVERAL_STEPS, *cases) == ["pass", "fail", "pass", "warn"]
    bounds = {"several-steps.only-single": 0.015}
    assert each(SEVERAL_STEPS, *cases[:2], bounds=bounds) == ["pass", "pass"]


def test_an_attack_that_looks_for_the_nearest_image_may_pass_by_others():
    nearest = build.cell("m", "deepfool", None, range(40), distance=dict.fromkeys(range(40), 0.05))
    finding = one(SEVERAL_STEPS, fgsm("0.1", range(50)), nearest)
    assert finding.status == "warn"
    assert finding.sentence == (
        "the single step of fgsm (torchattacks) breaks 10 of 200 images that deepfool does not, which looks for the "
        "nearest image and may pass by others; no attack of several steps uses the whole radius"
    )
    assert 'name = "pgd"' in finding.remedy
    assert one(SEVERAL_STEPS, fgsm("0.1", range(50)), nearest, pgd("0.1", [])).status == "fail"


def test_images_that_another_attack_of_several_steps_breaks_are_not_missed():
    cells = fgsm("0.1", range(50)), pgd("0.1", []), pgd("0.1", range(50), toolkit="art")
    finding = one(SEVERAL_STEPS, *cells, fgsm("0.2", range(50)))
    assert (finding.status, finding.model) == ("pass", "")
    assert finding.sentence == (
        "attacks of several steps break what a single step breaks (compared under one threat)"
    )


def test_too_few_images_are_not_compared():
    finding = one(SEVERAL_STEPS, fgsm("0.1", range(9)), pgd("0.1", []), images=19)
    assert finding.status == "not applicable"
    assert finding.sentence == (
        "no model was attacked both by a single step and by several within one radius"
    )


def test_asking_for_answers_must_not_break_what_gradients_do_not():
    finding = one(BLACK_BOX, asking("0.1", range(100)), pgd("0.1", range(80)))
    assert (finding.status, finding.value) == ("warn", 20 / 200)
    assert finding.sentence == (
        "square (torchattacks), which only asks the model for its answers, breaks 20 of 200 images that no attack along "
        "a gradient (pgd) breaks: gradients do not lead to all there is"
    )
    assert finding.remedy == (
        'add to the suite an [[attacks]] table with name = "adaptive", norm = "linf", eps = "0.1"'
    )


def test_where_asking_breaks_many_more_the_gradient_lies():
    finding = one(BLACK_BOX, asking("0.1", range(101)), pgd("0.1", range(80)))
    assert finding.status == "fail"
    assert finding.sentence.endswith(": the gradient hides how weak the model is")
    near, far = (
        build.cell("m", "deepfool", None, range(101), distance=dict.fromkeys(range(101), distance))
        for distance in (0.05, 0.15)
    )
    square, weak = asking("0.1", range(101)), pgd("0.1", [])
    assert each(
        BLACK_BOX,
        (square, pgd("0.1", range(2, 200))),
        (square, fgsm("0.1", [])),  # a single step is weak, and lies about nothing
        (square, pgd("0.1", [], surface=SURROGATE)),
        (square, weak, near),
        (square, weak, far),  # breaks nothing within 0.1
    ) == ["pass", "warn", "warn", "pass", "fail"]


def test_in_l0_a_search_among_pixels_may_find_more_than_a_gradient():
    searched, sparse = (
        build.cell("m", name, eps, broken, norm="l0", access=access)
        for name, eps, broken, access in (
            ("one-pixel", "3", range(101), "score"), ("sparsefool", None, range(20), "white"),
        )
    )  # fmt: skip
    assert one(BLACK_BOX, searched, sparse).status == "not applicable"


def test_images_of_another_network_must_not_break_what_gradients_do_not():
    crafted = pgd("0.1", range(30), surface="of n", crafted_on="n")
    finding = one(TRANSFERRED, crafted, pgd("0.1", range(10)))
    assert (finding.status, finding.value) == ("warn", 20 / 200)
    assert finding.sentence == (
        "pgd (torchattacks, of n), which makes its images on another network, breaks 20 of 200 images that no attack "
        "along a gradient (pgd) breaks: gradients do not lead to all there is"
    )
    cases = (crafted, pgd("0.1", range(9))), (crafted, pgd("0.1", range(2, 40)))
    assert each(TRANSFERRED, *cases) == ["fail", "pass"]


def test_others_must_not_break_what_autoattack_does_not():
    complete = build.cell("m", "autoattack", "0.1", range(20, 100), parameters={"steps": 100})
    finding = one(AUTOATTACK, complete, pgd("0.1", range(60)))
    assert (finding.status, finding.value) == ("warn", 20 / 200)
    assert finding.sentence == (
        "other attacks, pgd (torchattacks) first, break 20 of 200 images that AutoAttack does not, so AutoAttack alone "
        "is not enough for this model"
    )
    assert each(AUTOATTACK, (complete, pgd("0.1", range(18, 60)))) == ["pass"]


def test_images_from_outside_must_not_break_what_no_attack_does():
    outside = build.cell(
        "m", "external", "0.1", range(40, 100), toolkit="native", surface="handed in", access="none",
        parameters={"file": "theirs/adv.pt"},
    )  # fmt: skip
    finding = one(OUTSIDE, pgd("0.1", range(60)), fgsm("0.1", range(70)), outside)
    assert (finding.status, finding.value) == ("warn", 30 / 200)
    assert finding.sentence == (
        "the images of external (adv.pt) break 30 of 200 images that no attack of the run breaks, so its attacks are "
        "not strong enough for this model"
    )
    assert one(OUTSIDE, pgd("0.1", range(98)), outside).status == "pass"
    alone = one(OUTSIDE, outside)
    assert (alone.status, alone.remedy) == (
        "warn", "attack m too: `bench run m --norm linf --eps 0.1`",
    )  # fmt: skip
    assert one(OUTSIDE, pgd("0.1", range(98))).status == "not applicable"
    # How they were made is not known: they stand on no side of these.
    assert one(BLACK_BOX, pgd("0.1", []), outside).status == "not applicable"
    assert one(TRANSFERRED, pgd("0.1", []), outside).status == "not applicable"


def test_more_steps_must_not_lose_images():
    longer = pgd("0.1", range(5, 40), parameters={**PGD, "steps": 20, "step_size": "1/80"})
    finding = one(MORE_STEPS, pgd("0.1", range(30)), longer)
    assert (finding.status, finding.value) == ("warn", 5 / 200)
    assert finding.sentence == (
        "pgd (torchattacks) with 20 steps loses 5 of 200 images that it breaks with 10, so it does not keep the best "
        "image that it comes by"
    )
    other = pgd("0.1", [], parameters={**PGD, "steps": 20, "random_start": False})
    cases = (pgd("0.1", range(3, 30)), longer), (pgd("0.1", range(30)), other)
    assert each(MORE_STEPS, *cases) == ["pass", "pass"]


def test_single_images_of_a_random_model_are_not_counted():
    drawn = {"draws": 32, "clean_share": 1.0, "share": 0.5, "chosen_share": 0.5}
    cells = fgsm("0.1", range(9), columns=drawn), pgd("0.1", [], columns=drawn)
    assert one(SEVERAL_STEPS, *cells).status == "not applicable"
