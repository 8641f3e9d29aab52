# SPDX-License-Identifier: Apache-2.0
"""What nnU-Net makes of the datasets in nnUNet_raw: run in .venv-foreign, with the folder for arrays as argument."""

import json
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets


def look_at(folder: Path, out: Path) -> dict:
    verify_dataset_integrity(str(folder), num_processes=1)
    description = load_json(folder / "dataset.json")
    manager = LabelManager(description["labels"], description.get("regions_class_order"))
    reader = determine_reader_writer_from_dataset_json(description, verbose=False)()
    regions = list(manager.foreground_regions if manager.has_regions else manager.foreground_labels)
    ignore = [manager.ignore_label] if manager.has_ignore_label else []
    in_regions = ConvertSegmentationToRegionsTransform(regions=[*regions, *ignore], channel_in_seg=0)
    listed = get_filenames_of_train_images_and_targets(str(folder))
    arrays = {}
    for case, files in listed.items():
        arrays[f"{case}/image"], _ = reader.read_images(files["images"])
        labels, _ = reader.read_seg(files["label"])
        arrays[f"{case}/planes"] = in_regions(segmentation=torch.from_numpy(labels))["segmentation"].numpy()
    np.savez(out / f"{folder.name}.npz", **arrays)
    by_name = get_filenames_of_train_images_and_targets(str(folder), {"file_ending": description["file_ending"]})
    return {
        "has_regions": manager.has_regions,
        "has_ignore": manager.has_ignore_label,
        "ignore": manager.ignore_label,
        "names": [name for name in description["labels"] if name not in ("background", "ignore")],
        "found_by_name": by_name == listed,
    }


def plan(name: str) -> dict:
    """Fingerprint and plan, as nnUNetv2_plan_and_preprocess makes them."""
    preprocessed = Path(nnUNet_preprocessed) / name
    preprocessed.mkdir()
    DatasetFingerprintExtractor(name, num_processes=1).run()
    plans = ExperimentPlanner(name).plan_experiment()
    return {
        "shape": plans["configurations"]["2d"]["median_image_size_in_voxels"],
        "splits": json.loads((preprocessed / "splits_final.json").read_text("utf-8")),
    }


if __name__ == "__main__":
    # Processes that are forked need not import torch anew; how its checks are spread changes nothing in them.
    made, multiprocessing.get_context = multiprocessing.get_context, lambda _method=None: made("fork")
    folders = sorted(Path(nnUNet_raw).iterdir())
    answer = {folder.name: look_at(folder, Path(sys.argv[1])) for folder in folders}
    answer["plan"] = plan(folders[0].name)
    print(json.dumps(answer))  # noqa: T201
