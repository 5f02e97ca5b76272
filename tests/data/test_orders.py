import pytest
import torch

import bench
from bench.data.datasets import load, load_set
from bench.data.orders import drawn_order, listed_order, places_of
from bench.errors import SpecError
from bench.spec import ImageSet, in_short, list_order, listed

LABELS = torch.tensor([0] * 6 + [1] * 2 + [2] * 4)


def test_a_draw_has_every_image_once_and_follows_its_seed():
    first = places_of("random 0", LABELS)
    assert sorted(first.tolist()) == list(range(12))
    assert first.tolist() != list(range(12))
    assert torch.equal(first, places_of("random", LABELS))
    assert not torch.equal(first, places_of("random 1", LABELS))


def test_a_balanced_draw_takes_the_classes_in_turn():
    places = places_of("balanced 4", LABELS)
    assert sorted(places.tolist()) == list(range(12))
    assert LABELS[places].tolist() == [0, 1, 2, 0, 1, 2, 0, 2, 0, 2, 0, 0]
    assert not torch.equal(places, places_of("balanced 5", LABELS))


def test_images_come_in_the_order_asked_for():
    whole = load("digits", "test")
    x, y = bench.load_data("digits", images=20, order="balanced 2")
    places = places_of("balanced 2", whole.labels)[:20]
    assert torch.equal(x, whole.images[places])
    assert sorted(y.tolist()) == sorted(list(range(10)) * 2)
    few = load_set(ImageSet(data="digits", split="test", order=list_order([7, 3])))
    assert torch.equal(few.images, whole.images[[7, 3]])
    assert len(few) == 2


def test_a_list_is_read_line_by_line(tmp_path):
    file = tmp_path / "some.txt"
    file.write_text("\ufeff12\n\n# a remark\n3  # the third\n499\n", encoding="utf-8")
    assert listed(listed_order(file, "digits", "test")) == [12, 3, 499]


@pytest.mark.parametrize(("text", "words"), [
    ("1\n500\n", r"line 2: 500: digits test has 500 images, 0 to 499"),
    ("4\n2\n4\n", r"line 1: 4 is listed twice"),
    ("# nothing\n", r"lists no image; write the place of an image a line"),
    ("1\ncat.png\n", r"line 2: 'cat.png': write the place of an image in digits test"),
    ("-1\n", r"line 1: '-1'"),
])  # fmt: skip
def test_wrong_lists_are_said_with_their_line(tmp_path, text, words):
    (tmp_path / "some.txt").write_text(text)
    with pytest.raises(SpecError, match=words):
        listed_order(tmp_path / "some.txt", "digits", "test")


def test_a_list_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SpecError, match=r"no\.txt: No such file"):
        listed_order(tmp_path / "no.txt", "digits", "test")


def test_orders_are_written_out_in_one_way():
    assert (drawn_order("random"), drawn_order("balanced 07")) == ("random 0", "balanced 7")
    with pytest.raises(SpecError, match="'shuffled' is no order of images"):
        drawn_order("shuffled")


def test_lists_are_short_where_they_are_named_and_differ_where_their_images_do():
    assert (in_short(""), in_short("random 3")) == ("", "random 3")
    first, turned = (in_short(list_order(places)) for places in ([1, 2], [2, 1]))
    assert first.startswith("list 2 ")
    assert len(first) == len("list 2 ") + 20
    assert first != turned
