# SPDX-License-Identifier: Apache-2.0
"""What ultralytics reads of a dataset: run in .venv-foreign, with data.yaml and a file for arrays as arguments."""

import json
import sys
from pathlib import Path

import numpy as np
from ultralytics.cfg import get_cfg
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset, polygon2mask, verify_image_label
from ultralytics.utils import USER_CONFIG_DIR

(USER_CONFIG_DIR / "Arial.ttf").touch()  # else it is downloaded
data = check_det_dataset(sys.argv[1], autodownload=False)
arrays, bad, empty, images = {}, [], [], {}
for split in [name for name in ("train", "val", "test") if data.get(name)]:
    hyp = get_cfg(overrides={"mask_ratio": 1, "overlap_mask": False})
    dataset = YOLODataset(img_path=data[split], data=data, task="segment", imgsz=64, augment=False, hyp=hyp)
    images[split] = len(dataset)
    for index, label in enumerate(dataset.labels):
        height, width = label["shape"]
        verified = verify_image_label(
            (label["im_file"], dataset.label_files[index], "", False, data["nc"], 0, 0, False)
        )
        bad += [verified[-1]] if verified[-2] else []
        empty += [Path(label["im_file"]).stem] if verified[-3] else []
        planes = np.zeros((data["nc"], height, width), np.bool_)
        for number, corners in zip(label["cls"][:, 0], label["segments"], strict=True):
            polygon = (corners * (width, height)).reshape(1, -1)
            planes[int(number)] |= polygon2mask((height, width), polygon).astype(np.bool_)
        item = dataset[index]
        trained = np.zeros((data["nc"], *item["img"].shape[1:]), np.bool_)
        for number, mask in zip(item["cls"][:, 0].int().tolist(), item["masks"].numpy(), strict=False):
            trained[number] |= mask.astype(np.bool_)
        top, left = (trained.shape[1] - height) // 2, (trained.shape[2] - width) // 2
        case = f"{split}/{Path(label['im_file']).stem}"
        arrays[f"{case}/image"] = dataset.load_image(index)[0]
        arrays[f"{case}/planes"] = planes
        arrays[f"{case}/trained"] = trained[:, top : top + height, left : left + width]
np.savez(sys.argv[2], **arrays)
print(json.dumps({"names": data["names"], "bad": bad, "empty": empty, "images": images}))  # noqa: T201
