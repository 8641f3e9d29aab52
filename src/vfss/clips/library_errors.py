# SPDX-License-Identifier: Apache-2.0
"""Errors of libraries on damaged files, which callers turn into ClipError, and the remedy for them."""

from __future__ import annotations

import lzma
import struct
import zlib

COPY_AGAIN = "Copy it again from its source."

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
    lzma.LZMAError,
    struct.error,
    zlib.error,
)
"""Parsers of pictures, DICOM and video raise any of these on damaged bytes."""


def reason(error: BaseException) -> str:
    """Return the library's message on one line, shortened to fit into a message of ours."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".")
    return (text[:200] or type(error).__name__) if text else type(error).__name__
