# SPDX-License-Identifier: Apache-2.0
"""Predictions as nnU-Net and ultralytics write them: run in .venv-foreign.

Arguments: a dataset of nnU-Net, a folder for its predictions; planes (N, H, W) by case and classes, a folder for
theirs.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from ultralytics.engine.results import Results


def by_nnunet(dataset: Path, out: Path) -> None:
    """Write what nnUNetv2_predict writes where the network is certain of the labels of each test image."""
    description = load_json(dataset / "dataset.json")
    manager = LabelManager(description["labels"], description.get("regions_class_order"))
    reader = NaturalImage2DIO()
    for image in sorted((dataset / "imagesTs").iterdir()):
        case = image.name.removesuffix("_0000.png")
        _, properties = reader.read_images([str(image)])
        labels, _ = reader.read_seg(str(dataset / "labelsTs" / f"{case}.png"))
        heads = manager.foreground_regions if manager.has_regions else manager.all_labels
        certain = np.stack([np.isin(labels[0], head) for head in heads]).astype(np.float32)
        segmentation = manager.convert_probabilities_to_segmentation(certain)
        reader.write_seg(np.asarray(segmentation), str(out / f"{case}.png"), properties)
    shutil.copy(dataset / "dataset.json", out)


def by_ultralytics(planes: Path, out: Path) -> None:
    """Write what predict(save_txt=True, save_conf=True) writes of these masks."""
    with np.load(planes) as cases:
        for name, stack in cases.items():
            case, classes = name.split("/")
            height, width = stack.shape[1:]
            boxes = torch.tensor([[0, 0, width, height, 0.9, float(number)] for number in classes.split(",")])
            picture = np.zeros((height, width, 3), np.uint8)
            masks = torch.from_numpy(stack.astype(np.float32))
            Results(picture, f"{case}.png", {}, boxes=boxes, masks=masks).save_txt(out / f"{case}.txt", save_conf=True)


if __name__ == "__main__":
    source, nnunet, masks_file, labels = map(Path, sys.argv[1:])
    by_nnunet(source, nnunet)
    by_ultralytics(masks_file, labels)
    print(json.dumps({"cases": len(list(nnunet.glob("*.png"))), "labels": len(list(labels.glob("*.txt")))}))  # noqa: T201
