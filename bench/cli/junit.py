"""Test results as the XML of JUnit, which services of continuous integration show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple
from xml.etree import ElementTree as ET

Result = Literal["passed", "failure", "error", "skipped"]

#: What XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Case(NamedTuple):
    """A test case.

    Attributes:
        group: what it is about, shown as its class.
        name: of the case.
        result: what came of it.
        message: why, where it did not pass.
    """

    group: str
    name: str
    result: Result
    message: str = ""


def junit(title: str, cases: Sequence[Case]) -> bytes:
    """Return test cases as a JUnit file with one suite."""
    counts = Counter(case.result for case in cases)
    numbers = {
        "tests": len(cases), "failures": counts["failure"], "errors": counts["error"],
        "skipped": counts["skipped"],
    }  # fmt: skip
    said = {name: str(number) for name, number in numbers.items()}
    root = ET.Element("testsuites", said)
    suite = ET.SubElement(root, "testsuite", {"name": _writable(title), **said})
    for case in cases:
        named = {"classname": _writable(case.group), "name": _writable(case.name)}
        element = ET.SubElement(suite, "testcase", named)
        if case.result != "passed":
            ET.SubElement(element, case.result, {"message": _writable(case.message)})
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
