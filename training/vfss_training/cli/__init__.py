# SPDX-License-Identifier: Apache-2.0
"""The `vfss-train` command."""

from vfss_training.cli.app import main

__all__ = ["main"]
