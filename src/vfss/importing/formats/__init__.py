# SPDX-License-Identifier: Apache-2.0
"""Sources of foreign masks, one module per format."""
