# SPDX-License-Identifier: Apache-2.0
"""The `vfss-train` command as `python -m vfss_training.cli`."""

from vfss_training.cli.app import main

if __name__ == "__main__":
    main()
