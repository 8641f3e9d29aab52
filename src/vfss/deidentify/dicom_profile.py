# SPDX-License-Identifier: Apache-2.0
"""DICOM PS3.15 Annex E: the Basic Application Level Confidentiality Profile, and a stricter rule for the rest.

Attributes in the standard's table are treated as it prescribes, in sequences too. Of all others, only those of
`dicom_allowlist` are kept, and only with a value that is listed there: a number in its range, a defined term, a code
that pydicom knows. Free text, names, dates, unknown and private attributes, overlays, curves and tables that are not
plain grey curves are removed, because they can contain anything.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID

from vfss.clips.dicom.values import DICOM_ERRORS
from vfss.deidentify.dicom_allowlist import (
    CODED,
    MAKERS,
    MOST_TERMS,
    NUMBERS,
    ORIENTATION,
    SCHEMES,
    SEQUENCES,
    TABLES,
    TERMS,
    Range,
)
from vfss.project.case_key import CaseKey

EDITION = "2026c"
"""Edition of the standard whose table is applied."""

_ACTIONS = ("D", "Z", "X", "U", "Z_D", "X_Z", "X_D", "X_Z_D", "X_Z_U_STAR")
_DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000"}
"""Values where the object needs one; the date is before any examination."""

_NUMERIC = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "DS", "IS", "US or SS"})
_CAN_BE_EMPTY = frozenset({"DS", "IS", "CS", "LO", "SH"})
_REALS = frozenset({"FL", "FD"})
_DIGITS = 6
_SOP_CLASSES = frozenset({"SOPClassUID", "ReferencedSOPClassUID"})
_POINTERS = frozenset({"DimensionIndexPointer", "FunctionalGroupPointer"})


class Profile:
    """De-identifies headers; UIDs are replaced through one case key, so that references between objects stay valid."""

    def __init__(self, key: CaseKey) -> None:
        """Load the standard's table from dicom-anonymizer."""
        self._key = key
        table = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
        self._actions = {
            (tag[0] << 16) + tag[1]: action for action in _ACTIONS for tag in table[f"{action}_TAGS"] if len(tag) == 2
        }

    def cleaned(self, dataset: Any, *, dummies: bool) -> Any:
        """Return a new dataset of the elements that may be kept; the given one is not changed.

        Args:
            dataset: pydicom Dataset without file meta information and pixels.
            dummies: Give dates and times that the object must have a dummy value (enhanced objects) instead of none.
        """
        clean = Dataset()
        for element in _elements(dataset):
            try:
                cleaned_element = self._cleaned_element(element, dummies)
            except DICOM_ERRORS:  # a value of another kind than its attribute's cannot be checked
                continue
            if cleaned_element is not None:
                clean.add(cleaned_element)
        return clean

    def _cleaned_element(self, element: Any, dummies: bool) -> Any:
        """Return the element as it may be kept, None if it must be removed."""
        action = self._actions.get(int(element.tag))
        if action is None:
            return self._unlisted(element, dummies)
        if action == "U":
            return self._with_new_uids(element)
        if action == "X_Z_U_STAR":
            return self._sequence(element, dummies) if element.VR == "SQ" else None
        needs_value = action == "D" or (dummies and action in ("Z_D", "X_D", "X_Z_D"))
        if needs_value and element.VR in _DUMMIES:
            return DataElement(element.tag, element.VR, _DUMMIES[element.VR])
        if action in ("Z", "Z_D", "X_Z"):
            return DataElement(element.tag, element.VR, Sequence() if element.VR == "SQ" else None)
        return None

    def _unlisted(self, element: Any, dummies: bool) -> Any:
        """Return an element that is not in the standard's table if its value is a listed one, else None."""
        keyword, vr = keyword_for_tag(element.tag), element.VR
        if vr == "SQ":
            return self._sequence(element, dummies)
        if keyword in NUMBERS and vr in _NUMERIC:
            values = _numbers(element, NUMBERS[keyword])
        elif keyword in TERMS:
            values = _terms(element, TERMS[keyword])
        elif keyword == "PatientOrientation":
            values = [text for text in map(str, _values(element)) if ORIENTATION.fullmatch(text)]
            values = values if len(values) == 2 else []
        elif keyword in _SOP_CLASSES:
            values = [uid for uid in map(UID, map(str, _values(element))) if _is_sop_class(uid)][:1]
        elif keyword in _POINTERS:
            values = [tag for tag in _values(element) if dictionary_has_tag(tag)][:1]
        elif keyword == "Manufacturer":
            values = _maker(str(element.value or ""))
        else:
            return None
        if not values:  # the standard wants some attributes to be there, if empty
            return DataElement(element.tag, vr, None) if vr in _CAN_BE_EMPTY else None
        return DataElement(element.tag, vr, values[0] if len(values) == 1 else values)

    def _with_new_uids(self, element: Any) -> Any:
        """Return the element with all UIDs replaced except those that the standard registers."""
        new = [
            value if not value or _is_registered(value) else self._key.uid(value)
            for value in map(str, _values(element))
        ]
        return DataElement(element.tag, "UI", new[0] if len(new) == 1 else new or None)

    def _sequence(self, element: Any, dummies: bool) -> Any:
        """Return the sequence with cleaned items; None if nothing is left of it."""
        keyword = keyword_for_tag(element.tag)
        if keyword in CODED:
            items = [self._coded(item, dummies) for item in element.value]
        elif keyword in TABLES:
            items = [self._table(item, dummies) for item in element.value]
        elif keyword in SEQUENCES:
            items = [self.cleaned(item, dummies=dummies) for item in element.value]
        else:
            return None
        if keyword == "PerFrameFunctionalGroupsSequence":  # an item per frame, also where nothing is left of it
            return DataElement(element.tag, "SQ", Sequence(item or Dataset() for item in items))
        items = [item for item in items if item]
        return DataElement(element.tag, "SQ", Sequence(items)) if items else None

    def _coded(self, item: Any, dummies: bool) -> Any:
        """Return an item with its code in the words of the standard; None if the code is not known."""
        code = _known_code(_text(item, "CodingSchemeDesignator"), _text(item, "CodeValue"))
        if code is None:
            return None
        clean = self.cleaned(item, dummies=dummies)
        clean.CodeValue, clean.CodingSchemeDesignator, clean.CodeMeaning = (
            code.value,
            code.scheme_designator,
            code.meaning,
        )
        return clean

    def _table(self, item: Any, dummies: bool) -> Any:
        """Return an item with its grey table if that is a plain curve, which can hold no text; else None."""
        table = _curve(item)
        if table is None:
            return None
        first, bits = int(item.LUTDescriptor[1]), int(item.LUTDescriptor[2])
        clean = self.cleaned(item, dummies=dummies)
        clean.add(DataElement(0x00283002, "US", [len(table) % 65536, first, bits]))
        clean.add(DataElement(0x00283006, "US", [int(value) for value in table]))
        return clean


def _elements(dataset: Any) -> Iterator[Any]:
    """Yield the readable standard elements, without file meta information, overlays, curves and pixels."""
    for tag in sorted(dataset.keys()):
        known = not tag.is_private and dictionary_has_tag(tag) and 0x0004 < tag.group < 0x7F00
        if not known or 0x50 <= tag.group >> 8 <= 0x51 or tag.group >> 8 == 0x60:
            continue
        try:
            yield dataset[tag]
        except DICOM_ERRORS:  # an unreadable element cannot be checked, so it is removed
            continue


def _values(element: Any) -> list[Any]:
    if element.value is None:
        return []
    return list(element.value) if element.VM > 1 else [element.value]


def _text(item: Any, keyword: str) -> str:
    return str(item.get(keyword) or "").strip()


def _numbers(element: Any, allowed: Range) -> list[Any]:
    """Return the numbers with a few digits each; nothing if one of them is no number, or outside the range."""
    try:
        values = [float(value) for value in _values(element)]
    except (TypeError, ValueError):
        return []
    if len(values) > allowed.count or not all(allowed.low <= value <= allowed.high for value in values):
        return []
    rounded = [float(f"{value:.{_DIGITS}g}") for value in values]
    if element.VR == "DS":
        return [f"{value:.{_DIGITS}g}" for value in rounded]
    return rounded if element.VR in _REALS else [round(value) for value in rounded]


def _terms(element: Any, allowed: frozenset[str]) -> list[str]:
    """Return the values if all are defined terms; of several, the others are left out."""
    return [text for text in map(str, _values(element)) if text in allowed][:MOST_TERMS]


def _is_registered(uid: str) -> bool:
    """Return whether pydicom's copy of the standard's registry has this UID."""
    return str(UID(uid).name) != uid


def _is_sop_class(uid: UID) -> bool:
    return _is_registered(uid) and str(uid.type) == "SOP Class"


def _maker(text: str) -> list[str]:
    """Return a known maker as we write it, or nothing."""
    return [maker for maker in MAKERS if maker.casefold() == text.strip().casefold()][:1]


@functools.cache
def _codes() -> Mapping[tuple[str, str], Code]:
    """Return the codes that pydicom lists, by scheme and value."""
    every = (getattr(getattr(codes, scheme), name) for scheme in SCHEMES for name in getattr(codes, scheme).dir())
    return {(code.scheme_designator, code.value): code for code in every}


@functools.lru_cache(maxsize=1024)
def _known_code(scheme: str, value: str) -> Code | None:
    if scheme == "SRT":
        old = Code(value, scheme, "")
        return next((code for (new, _), code in _codes().items() if new == "SCT" and code == old), None)
    return _codes().get((scheme, value))


def _curve(item: Any) -> npt.NDArray[np.int64] | None:
    """Return a grey table, int64 (N,), that rises or falls all the way, as long and deep as declared; else None."""
    descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
    try:
        n, first, bits = (int(value) for value in descriptor)
        words = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.asarray(data)
        table = words.astype(np.int64)
    except DICOM_ERRORS:
        return None
    fits = table.shape == (n or 65536,) and 8 <= bits <= 16 and 0 <= first < 65536 and table.max() < 1 << bits
    steps = np.diff(table) if fits else table
    return table if fits and ((steps >= 0).all() or (steps <= 0).all()) else None
