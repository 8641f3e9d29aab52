# SPDX-License-Identifier: Apache-2.0
"""Choose the folder of an export: the one a person chose, a new one inside it, or that of an unfinished export."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vfss.datasets.export import Export
from vfss.datasets.format import Format
from vfss.datasets.options import ExportOptions
from vfss.output.partial_folder import SUFFIX, PartialFolder
from vfss.project import Project


@dataclass(frozen=True)
class ExportTarget:
    """A folder to export into.

    Attributes:
        folder: Folder of the dataset to create.
        done: Frames that an interrupted identical export has written there already.
    """

    folder: Path
    done: int = 0


def choose_target(project: Project, dataset_format: Format, options: ExportOptions, chosen: Path) -> ExportTarget:
    """Return the chosen folder if it is empty or missing, else a new one inside it, named after format and time.

    An unfinished identical export is resumed, whether it is next to the chosen folder, inside it, or chosen itself.

    Raises:
        DatasetError: The case key cannot be read or written.
        ProjectError: The project cannot be read.
    """
    chosen = chosen.absolute()
    partial_folders = [chosen] if chosen.name.endswith(SUFFIX) else [chosen.with_name(chosen.name + SUFFIX)]
    partial_folders += sorted(chosen.glob(f"*{SUFFIX}"), reverse=True) if chosen.is_dir() else []
    if any(path.is_dir() for path in partial_folders):
        job = Export(project, dataset_format, options).job()
        for path in partial_folders:
            folder = path.with_name(path.name.removesuffix(SUFFIX))
            done = PartialFolder(folder, job).frames_done()
            if done is not None and not (folder.exists() and any(folder.iterdir())):
                return ExportTarget(folder, done)
    if not chosen.exists() or not any(chosen.iterdir()):
        return ExportTarget(chosen)
    return ExportTarget(chosen / f"vfss_{dataset_format.name}_{datetime.now().astimezone():%Y%m%d_%H%M%S}")
