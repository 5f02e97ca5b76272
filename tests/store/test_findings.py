from __future__ import annotations

from pathlib import Path

from bench.store.findings import checked, found_key, read_found, write_found


def record(check: str = "toy", model: str = "a") -> dict[str, object]:
    return {"check": check, "model": model, "norm": "", "eps": None, "seconds": 1.5, "findings": []}


def test_the_key_depends_on_all_that_a_check_was_made_on_and_on_no_order() -> None:
    made_on = {"check": "toy", "bounds": {"a": 1.0}}
    assert found_key(made_on) == found_key(dict(reversed(made_on.items())))
    assert found_key(made_on) != found_key({**made_on, "bounds": {"a": 2.0}})


def test_a_record_is_read_back_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    key = found_key({"check": "toy"})
    assert read_found(tmp_path, key) is None
    write_found(tmp_path, key, record())
    assert read_found(tmp_path, key) == record()
    (tmp_path / "findings" / key[:2] / f"{key}.json").write_text("{half")
    assert read_found(tmp_path, key) is None


def test_a_log_names_what_was_found_and_what_was_left_out(tmp_path: Path) -> None:
    keys = {name: found_key({"check": name}) for name in ("first", "second")}
    for name, key in keys.items():
        write_found(tmp_path, key, record(name))
    left = [{"check": name, "model": "a", "norm": "", "eps": None} for name in ("second", "third")]
    events = [
        {"event": "checked", "findings": [keys["first"]]},
        {"event": "trust", "level": "full", "not_made": left},
        {"event": "checked", "findings": [keys["second"], keys["first"], "0" * 20]},
        {"event": "trust", "level": "quick", "not_made": []},
    ]
    found = checked(tmp_path, events)
    assert [one["check"] for one in found.found] == ["first", "second"]
    assert [one["check"] for one in found.not_made] == ["third"]
    assert (found.level, found.seconds) == ("full", 3.0)


def test_a_log_without_checks_says_so(tmp_path: Path) -> None:
    assert checked(tmp_path, [{"event": "end"}]).level == ""
