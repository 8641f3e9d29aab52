# SPDX-License-Identifier: Apache-2.0
"""The scripted tour (`napari-vfss --tour`)."""
