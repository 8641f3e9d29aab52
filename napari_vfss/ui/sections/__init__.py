# SPDX-License-Identifier: Apache-2.0
"""The foldable sections of the panel, one file for each step of the work."""
