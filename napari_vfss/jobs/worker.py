# SPDX-License-Identifier: Apache-2.0
"""Background threads for functions and generators, with signals for results and errors."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from inspect import isgeneratorfunction
from typing import Any

from napari.qt.threading import FunctionWorker, GeneratorWorker, create_worker

from vfss.errors import ClipError, VfssError

logger = logging.getLogger(__name__)


class _Log:
    """Replaces superqt's signal for warnings, and outlives the worker."""

    def connect(self, _slot: Callable[..., object]) -> None:
        """Ignore the slot: warnings of libraries go to the log."""

    def emit(self, warning: tuple[Any, ...]) -> None:
        """Log a warning, given as the arguments of warnings.showwarning."""
        message, category, filename, line = warning[:4]
        logger.warning("%s", warnings.formatwarning(message, category, filename, line).strip())


class _Logging:
    """A worker whose warnings go to the log.

    While a worker runs, superqt redirects `warnings.showwarning` to the worker's own signal, and restores the previous
    function afterwards. If two workers overlap, that is the signal of the first one, which is deleted by then: every
    later warning of the program would raise RuntimeError.
    """

    warned = _Log()


class _FunctionWorker(_Logging, FunctionWorker):
    """Runs a function."""


class _GeneratorWorker(_Logging, GeneratorWorker):
    """Runs a generator."""


def worker_for(function: Callable[..., Any], *arguments: Any) -> Any:
    """Create, without starting it, a thread worker for a function or generator; errors reach `errored` only."""
    kind = _GeneratorWorker if isgeneratorfunction(function) else _FunctionWorker
    return create_worker(function, *arguments, _start_thread=False, _ignore_errors=True, _worker_class=kind)


def spare_threads() -> int:
    """Return how many threads a student may use: one core stays for the window, which must remain responsive."""
    return max(1, (os.cpu_count() or 1) - 1)


def explain(error: BaseException) -> str:
    """Return the message for a person about an error of a worker; an unexpected one is logged."""
    if isinstance(error, ClipError) and error.frame is not None:  # the window counts frames from 1
        name = "" if error.path is None else f" of {error.path.name}"
        return f"Frame {error.frame + 1}{name}: {error.what}.{error.remedy and f' {error.remedy}'}"
    if isinstance(error, VfssError):
        return str(error)
    logger.error("worker failed", exc_info=error)
    return f"Unexpected error ({type(error).__name__}: {error}). Details are in the log."
