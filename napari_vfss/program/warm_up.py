# SPDX-License-Identifier: Apache-2.0
"""Imports what the first clip needs while a person still looks at the start page."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Generator

from napari_vfss.jobs.worker import worker_for

NEEDED = ("vfss.project.project", "vfss.proposals.student", "vfss.student.openvino_runtime", "vfss.consistency.survey")
"""Modules with the libraries of the first minute: the database, OpenCV, OpenVINO, scipy."""

_LOG = logging.getLogger(__name__)


def warm_up() -> None:
    """Import them one by one in a thread; the first clip imports whatever is not there yet."""
    worker = worker_for(_import_all)
    worker.errored.connect(_on_error)
    worker.start()


def _import_all() -> Generator[None, None, None]:
    for name in NEEDED:
        importlib.import_module(name)
        yield
    from napari_vfss.jobs.adding import import_for_layers

    import_for_layers()


def _on_error(error: Exception) -> None:
    # Whoever needs the module meets the error again, with a message for what was to be done.
    _LOG.warning("cannot be imported: %s", error)
