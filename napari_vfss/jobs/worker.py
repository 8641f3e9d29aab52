# SPDX-License-Identifier: Apache-2.0
"""Functions and generators run in a thread beside the window, with signals for what they return and yield."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from inspect import isgeneratorfunction
from typing import Any

from napari.qt.threading import FunctionWorker, GeneratorWorker, create_worker

logger = logging.getLogger(__name__)


class _Log:
    """Stands where superqt has a signal for warnings, and outlives the worker."""

    def connect(self, _slot: Callable[..., object]) -> None:
        """Nobody is told: what a library warns of is for the log."""

    def emit(self, warning: tuple[Any, ...]) -> None:
        """Log a warning, as the arguments of warnings.showwarning."""
        message, category, filename, line = warning[:4]
        logger.warning("%s", warnings.formatwarning(message, category, filename, line).strip())


class _Logging:
    """A worker whose warnings go to the log.

    While it runs, superqt has `warnings.showwarning` end in the worker's own signal, and puts back afterwards what was
    there before. Where two workers overlap, that is the first one's, which is gone by then: every later warning of the
    whole program would raise RuntimeError where it is given, in the midst of whatever a person does.
    """

    warned = _Log()


class _FunctionWorker(_Logging, FunctionWorker):
    """Runs a function."""


class _GeneratorWorker(_Logging, GeneratorWorker):
    """Runs a generator."""


def worker_for(function: Callable[..., Any], *arguments: Any) -> Any:
    """A worker that will run a function, or a generator's, when it is started; its signal alone tells its errors."""
    kind = _GeneratorWorker if isgeneratorfunction(function) else _FunctionWorker
    return create_worker(function, *arguments, _start_thread=False, _ignore_errors=True, _worker_class=kind)
