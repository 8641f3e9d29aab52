# SPDX-License-Identifier: Apache-2.0
"""DICOM files recognised by their first bytes, whatever their names."""

from __future__ import annotations

from typing import Literal

_MARK_AT, _MARK = 128, b"DICM"
_IDENTIFYING, _META = 0x0008, 0x0002
_LAST_ELEMENT = 0x2300
_LONGEST_FIRST = 512  # bytes of the first value: a length, a character set, an image type, a UID

HEAD_BYTES = _MARK_AT + len(_MARK)
"""Bytes that are looked at."""


def has_dicom_mark(head: bytes) -> bool:
    """Return whether the first bytes of a file hold the mark of DICOM behind its preamble."""
    return head[_MARK_AT:HEAD_BYTES] == _MARK


def starts_with_element(head: bytes) -> bool:
    """Return whether bytes begin like a dataset without preamble, as old exports do: an element of group 2 or 8."""
    order: Literal["little", "big"] = "big" if head[:1] == b"\0" else "little"
    group, element = int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)
    if len(head) < 16 or group not in (_META, _IDENTIFYING) or element > _LAST_ELEMENT:
        return False
    representation = head[4:6]
    if representation.isalpha() and representation.isupper():
        return True
    return int.from_bytes(head[4:8], order) <= _LONGEST_FIRST


def begins_like_dicom(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of a DICOM file, with its mark or without preamble."""
    return has_dicom_mark(head) or starts_with_element(head)
