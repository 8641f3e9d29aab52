# SPDX-License-Identifier: Apache-2.0
"""Datasets as the datumaro package, CVAT's own converter, writes them: run in .venv-foreign.

Arguments: a dataset of ours in Datumaro's format, a folder for the results, formats.
"""

import json
import sys
from pathlib import Path

from datumaro import Dataset

dataset = Dataset.import_from(sys.argv[1], "datumaro")
for name in sys.argv[3:]:
    dataset.export(str(Path(sys.argv[2]) / name), name, save_media=False)
print(json.dumps({"items": len(dataset)}))  # noqa: T201
