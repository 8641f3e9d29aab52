# SPDX-License-Identifier: Apache-2.0
"""Command line of the engine: `vfss`."""

from vfss.cli.app import main

__all__ = ["main"]
