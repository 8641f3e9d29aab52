# SPDX-License-Identifier: Apache-2.0
"""napari plugin of napari-vfss: what a clinician sees."""
