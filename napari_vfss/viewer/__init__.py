# SPDX-License-Identifier: Apache-2.0
"""Napari layers and canvas: how a session is drawn and painted on."""
