# SPDX-License-Identifier: Apache-2.0
"""What ITK reads of NIfTI volumes: run in .venv-foreign, with a file for arrays and the volumes as arguments."""

import json
import sys

import numpy as np
import SimpleITK

images = [SimpleITK.ReadImage(path) for path in sys.argv[2:]]
arrays = {str(number): SimpleITK.GetArrayFromImage(image) for number, image in enumerate(images)}
np.savez(sys.argv[1], **arrays)
seconds = [image.GetMetaData("pixdim[4]") for image in images]
print(json.dumps({"spacing": [image.GetSpacing() for image in images], "seconds": seconds}))  # noqa: T201
