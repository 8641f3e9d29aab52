# SPDX-License-Identifier: Apache-2.0
"""What datumaro reads of datasets: run in .venv-foreign, with a file for arrays and then FORMAT=FOLDER as arguments."""

import json
import sys

import numpy as np
from datumaro import AnnotationType, Dataset

arrays, answer = {}, {}
for argument in sys.argv[2:]:
    name, folder = argument.split("=", 1)
    dataset = Dataset.import_from(folder, name)
    labels = [label.name for label in dataset.categories()[AnnotationType.label].items]
    items = {}
    for item in dataset:
        masks = [a for a in item.annotations if a.type == AnnotationType.mask]
        tags = {labels[a.label]: a.attributes for a in item.annotations if a.type == AnnotationType.label}
        arrays[f"{name}/{item.id}/image"] = item.media.get_data_as_dtype(np.uint16)
        for mask in masks:
            arrays[f"{name}/{item.id}/{labels[mask.label]}"] = mask.image
        items[item.id] = {
            "subset": item.subset,
            "size": item.media.size,
            "attributes": item.attributes,
            "tags": tags,
            "z_order": {labels[mask.label]: mask.z_order for mask in masks},
        }
    answer[name] = {"labels": labels, "items": items}
np.savez(sys.argv[1], **arrays)
print(json.dumps(answer))  # noqa: T201
