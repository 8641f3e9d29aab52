# SPDX-License-Identifier: Apache-2.0
"""What libraries raise on broken files: turned into ClipError at the border, never shown to a person."""

from __future__ import annotations

import struct
import zlib

DECODING_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Parsers of pictures, DICOM and video stumble over damaged bytes with any of these."""


def reason(error: BaseException) -> str:
    """The library's own words on one line, short enough for a message."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".")
    return (text[:200] or type(error).__name__) if text else type(error).__name__
