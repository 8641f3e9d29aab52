# SPDX-License-Identifier: Apache-2.0
"""The `vfss-train` command."""

import vfss_training.cli.idle_threads  # noqa: F401  (before torch, which the others import)
from vfss_training.cli.app import main

__all__ = ["main"]
