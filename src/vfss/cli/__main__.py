# SPDX-License-Identifier: Apache-2.0
"""Runs the `vfss` command as `python -m vfss.cli`."""

from vfss.cli.app import main

if __name__ == "__main__":
    main()
