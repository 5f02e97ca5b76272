from bench.data.splits import stratified

SHARES = {"train": 5, "validation": 1, "test": 2}
NAMES = [[f"a/{number}" for number in range(80)], [f"b/{number}" for number in range(16)]]


def test_every_class_has_the_same_share_in_each_split_and_no_file_is_in_two():
    splits = stratified(NAMES, SHARES)
    counts = {
        split: [sum(label == wanted for _, label in files) for wanted in (0, 1)]
        for split, files in splits.items()
    }
    assert counts == {"train": [50, 10], "validation": [10, 2], "test": [20, 4]}
    drawn = [name for files in splits.values() for name, _ in files]
    assert sorted(drawn) == sorted(NAMES[0] + NAMES[1])
    assert all(name[0] == "ab"[label] for files in splits.values() for name, label in files)


def test_the_first_images_of_a_split_are_of_all_classes_in_turn():
    assert [label for _, label in stratified(NAMES, SHARES)["test"]][:8] == [0, 1] * 4


def test_splits_depend_on_the_seed_and_not_on_the_order_of_a_listing():
    turned = [names[::-1] for names in NAMES]
    assert stratified(NAMES, SHARES, 3) == stratified(turned, SHARES, 3)
    first, second = stratified(NAMES, SHARES, 0)["test"], stratified(NAMES, SHARES, 1)["test"]
    assert set(first) != set(second)


def test_of_a_class_with_one_file_the_last_split_gets_it():
    splits = stratified([["only"]], SHARES)
    assert splits == {"train": [], "validation": [], "test": [("only", 0)]}
