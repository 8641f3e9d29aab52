# SPDX-License-Identifier: Apache-2.0
"""napari writer: File > Save on the editable layer writes the project's annotations as a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vfss.datasets import FORMATS, run_export
from vfss.errors import DatasetError
from vfss.project import Project


def write_annotations(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write all accepted annotations of the project that a layer belongs to, in COCO format.

    Args:
        path: NAME.json; the dataset is written to the folder NAME next to it.
        data: Labels of the layer; not used, because the masks are in the project.
        meta: The layer's state; its metadata names the project.

    Returns:
        The files written.

    Raises:
        VfssError: The layer is not one of this plugin, the pixels of a recording were not reviewed (the message says
            where to do that), or the dataset cannot be written.
    """
    project_folder = meta.get("metadata", {}).get("vfss_project")
    if project_folder is None:
        raise DatasetError("this Labels layer belongs to no VFSS project", remedy="Open the clip in VFSS annotation.")
    folder = Path(path).with_suffix("")
    with Project.open(project_folder) as project:
        run_export(FORMATS["coco"], project, folder)
    return [str(file) for file in sorted(folder.rglob("*")) if file.is_file()]
