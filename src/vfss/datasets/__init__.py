# SPDX-License-Identifier: Apache-2.0
"""Datasets: one file per format, all of them in FORMATS."""

from vfss.datasets.coco import Coco, read_coco
from vfss.datasets.dataset import Dataset, DatasetImage
from vfss.datasets.png import Png, read_png
from vfss.datasets.report import ExportReport, Format, Progress

FORMATS: dict[str, Format] = {
    "coco": Coco(),
    "png": Png(),
}

__all__ = [
    "FORMATS",
    "Dataset",
    "DatasetImage",
    "ExportReport",
    "Format",
    "Progress",
    "read_coco",
    "read_png",
]
