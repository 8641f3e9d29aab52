# SPDX-License-Identifier: Apache-2.0
"""Datasets: one file per format, all of them in FORMATS."""

from vfss.datasets.coco import COCO, read_coco
from vfss.datasets.cvat import CVAT, read_cvat
from vfss.datasets.dataset import Dataset, DatasetImage
from vfss.datasets.datumaro import DATUMARO, read_datumaro
from vfss.datasets.dicom_seg import DICOM_SEG
from vfss.datasets.format import Format
from vfss.datasets.nifti import NIFTI
from vfss.datasets.nnunet import NNUNET
from vfss.datasets.npz import NPZ
from vfss.datasets.parquet import PARQUET
from vfss.datasets.png import PNG, read_png
from vfss.datasets.report import ExportOptions, ExportReport, Progress
from vfss.datasets.yolo import YOLO

FORMATS: dict[str, Format] = {
    "coco": COCO,
    "png": PNG,
    "nnunet": NNUNET,
    "nifti": NIFTI,
    "dicom-seg": DICOM_SEG,
    "yolo": YOLO,
    "cvat": CVAT,
    "datumaro": DATUMARO,
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
    "read_cvat",
    "read_datumaro",
    "read_png",
]
