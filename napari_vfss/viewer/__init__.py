# SPDX-License-Identifier: Apache-2.0
"""napari layers and canvas, in which a session is shown and painted on."""
