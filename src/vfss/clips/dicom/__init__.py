# SPDX-License-Identifier: Apache-2.0
"""Clips in DICOM files."""
