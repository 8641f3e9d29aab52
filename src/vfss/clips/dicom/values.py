# SPDX-License-Identifier: Apache-2.0
"""Numbers in DICOM headers as they are written, which pydicom refuses or turns into text where they are malformed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.errors import BytesLengthException, InvalidDicomError

from vfss.clips.bounds import MOST_FRAMES, MOST_ITEMS
from vfss.clips.library_errors import DECODING_ERRORS

DICOM_ERRORS: tuple[type[Exception], ...] = (*DECODING_ERRORS, BytesLengthException, InvalidDicomError)

_ITEM_MARKS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")
_TEXT = frozenset({"DS", "IS", "UN", "LO", "SH", "ST", "LT", "UT", "CS", "AE", "DT", "TM", "DA", "AS", "UI"})


@dataclass(frozen=True)
class Written:
    """One number of a header.

    Attributes:
        text: As it is written.
        value: What it means, finite; None if it is no number.
    """

    text: str
    value: float | None

    @property
    def has_comma(self) -> bool:
        """Whether it is written with a decimal comma, which the standard does not allow."""
        return self.value is not None and "," in self.text


def numbers(dataset: Any, keyword: str) -> list[Written]:
    """Return the numbers of a text element (DS, IS) one by one, so that a malformed one spares the others.

    A decimal comma is read as a point. An absent or empty element has no numbers.
    """
    return [Written(text, _value(text)) for text in _texts(dataset, keyword)]


def number(dataset: Any, keyword: str) -> Written | None:
    """Return the first number of an element; None if it is absent or empty."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def integer(dataset: Any, keyword: str) -> int | None:
    """Return the first number of an element if it is a whole one; None if it is absent, empty or malformed."""
    found = number(dataset, keyword)
    if found is not None and found.text.isdecimal() and found.text.isascii():
        return int(found.text[:64])  # exactly, for the message about an absurd one
    if found is None or found.value is None or found.value != math.floor(found.value):
        return None
    return int(found.value)


def text(dataset: Any, keyword: str) -> str:
    """Return the first value of a text element; empty if it is absent or malformed."""
    found = _texts(dataset, keyword)
    return found[0] if found else ""


def items(dataset: Any, keyword: str) -> list[Any]:
    """Return the items of a sequence; none if it is absent or malformed, or has more than any recording has."""
    try:
        tag = tag_for_keyword(keyword)
        if tag is None or tag not in dataset:
            return []
        raw = dataset.get_item(tag).value  # bytes until it is parsed, which takes a kilobyte for each item
        if isinstance(raw, bytes) and sum(raw.count(mark) for mark in _ITEM_MARKS) > MOST_ITEMS:
            return []
        sequence = dataset[tag].value
        return [] if isinstance(sequence, str | bytes) else [item for item in sequence if hasattr(item, "get")]
    except DICOM_ERRORS:
        return []


def _texts(dataset: Any, keyword: str) -> list[str]:
    tag = tag_for_keyword(keyword)
    try:
        if tag is None or tag not in dataset:
            return []
        element = dataset.get_item(tag)
        value = element.value
        if isinstance(value, bytes):  # not converted yet
            if element.VR is not None and element.VR not in _TEXT:
                value = dataset[tag].value
            else:
                if value.count(b"\\") > MOST_FRAMES:  # a value for each frame is the most that there can be
                    return []
                value = value.decode("latin-1").split("\\")
    except DICOM_ERRORS:
        return []
    if value is None:
        return []
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        value = [value]
    texts = [str(getattr(item, "original_string", None) or item).strip(" \0") for item in value]
    return texts if any(texts) else []


def _value(text: str) -> float | None:
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None
