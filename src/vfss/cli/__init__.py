# SPDX-License-Identifier: Apache-2.0
"""The `vfss` command."""

from vfss.cli.app import main

__all__ = ["main"]
