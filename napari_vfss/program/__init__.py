# SPDX-License-Identifier: Apache-2.0
"""The window of the program `napari-vfss`: napari without its own tools, with start page, tool bar and our menus."""
