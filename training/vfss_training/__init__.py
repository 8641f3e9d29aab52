# SPDX-License-Identifier: Apache-2.0
"""Trainer of napari-vfss: annotations and teachers in, a student file out."""
