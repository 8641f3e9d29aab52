# SPDX-License-Identifier: Apache-2.0
"""Export of datasets: one module per format, all of them in FORMATS."""

from vfss.datasets.dataset import Dataset, DatasetImage
from vfss.datasets.export import run_export
from vfss.datasets.format import Format
from vfss.datasets.formats.coco import COCO, read_coco
from vfss.datasets.formats.cvat import CVAT, read_cvat
from vfss.datasets.formats.datumaro import DATUMARO, read_datumaro
from vfss.datasets.formats.dicom_seg import DICOM_SEG
from vfss.datasets.formats.nifti import NIFTI
from vfss.datasets.formats.nnunet import NNUNET
from vfss.datasets.formats.npz import NPZ
from vfss.datasets.formats.parquet import PARQUET
from vfss.datasets.formats.png import PNG, read_png
from vfss.datasets.formats.yolo import YOLO
from vfss.datasets.options import ExportOptions
from vfss.datasets.report import ExportReport
from vfss.output import Progress

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
"""Formats by name on the command line."""

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
    "run_export",
]
