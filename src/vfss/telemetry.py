# SPDX-License-Identifier: Apache-2.0
"""Keep libraries from reporting to their makers that they are used."""

from __future__ import annotations

import os
import sys
from typing import Any


def switch_off_telemetry() -> None:
    """Switch off the reports of all libraries that this program imports; call it before the first import of one.

    OpenVINO sends an event to Google Analytics whenever it is imported, with a number from the user's home folder that
    identifies the computer for good. It has no switch, but does without the package that sends.
    """
    modules: dict[str, Any] = sys.modules
    modules["openvino_telemetry"] = None  # importing it is an ImportError from now on
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # of huggingface_hub, which timm imports
