"""Judged cases in JUnit's XML, which CI systems show."""

import re
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from consumer.cases.judge import Judged

# XML 1.0 has no way to write these: https://www.w3.org/TR/xml/#charsets
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(suite: str, judged: Sequence[Judged]) -> bytes:
    """Return one test suite with a test case each."""
    failures = sum(1 for one in judged if one.differences)
    root = Element("testsuites")
    inside = SubElement(
        root, "testsuite", name=_text(suite), tests=str(len(judged)), failures=str(failures), errors="0"
    )
    for one in judged:
        placed = one.placed
        case = SubElement(inside, "testcase", classname=_text(suite), name=_text(placed.case.name))
        case.set("file", _text(str(placed.file)))
        case.set("line", str(placed.line))
        if one.differences:
            failure = SubElement(case, "failure", message=_text(one.differences[0]))
            failure.text = _text("\n".join(one.differences))
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _text(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
