# SPDX-License-Identifier: Apache-2.0
"""Datasets: one file per format, all of them in FORMATS."""

from vfss.datasets.coco import COCO, read_coco
from vfss.datasets.dataset import Dataset, DatasetImage
from vfss.datasets.format import Format
from vfss.datasets.nifti import NIFTI
from vfss.datasets.npz import NPZ
from vfss.datasets.parquet import PARQUET
from vfss.datasets.png import PNG, read_png
from vfss.datasets.report import ExportOptions, ExportReport, Progress

FORMATS: dict[str, Format] = {
    "coco": COCO,
    "png": PNG,
    "nifti": NIFTI,
    "parquet": PARQUET,
    "npz": NPZ,
}
"""By name on the command line."""

__all__ = [
    "FORMATS",
    "Dataset",
    "DatasetImage",
    "ExportOptions",
    "ExportReport",
    "Format",
    "Progress",
    "read_coco",
    "read_png",
]
