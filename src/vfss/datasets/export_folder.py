# SPDX-License-Identifier: Apache-2.0
"""Where an export goes when a person names a folder: into it, into a new one inside, or on with an unfinished one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vfss.datasets.export import Export
from vfss.datasets.format import Format
from vfss.datasets.report import ExportOptions
from vfss.output.partial_folder import SUFFIX, PartialFolder
from vfss.project import Project


@dataclass(frozen=True)
class Place:
    """A folder to export into.

    Attributes:
        folder: The dataset to make.
        done: Frames of it that an interrupted export of the very same has written already.
    """

    folder: Path
    done: int = 0


def place_for(project: Project, dataset_format: Format, options: ExportOptions, chosen: Path) -> Place:
    """The chosen folder where it is empty or not there, else one inside that is named after format and time.

    An unfinished export of the same job is gone on with, whether it lies beside the chosen folder, in it, or is what a
    person chose.

    Raises:
        DatasetError: The case key cannot be read or written.
        ProjectError: The project cannot be read.
    """
    chosen = chosen.absolute()
    begun = [chosen] if chosen.name.endswith(SUFFIX) else [chosen.with_name(chosen.name + SUFFIX)]
    begun += sorted(chosen.glob(f"*{SUFFIX}"), reverse=True) if chosen.is_dir() else []
    if any(path.is_dir() for path in begun):
        job = Export(project, dataset_format, options).job()
        for path in begun:
            folder = path.with_name(path.name.removesuffix(SUFFIX))
            done = PartialFolder(folder, job).frames_done()
            if done is not None and not (folder.exists() and any(folder.iterdir())):
                return Place(folder, done)
    if not chosen.exists() or not any(chosen.iterdir()):
        return Place(chosen)
    return Place(chosen / f"vfss_{dataset_format.name}_{datetime.now().astimezone():%Y%m%d_%H%M%S}")
