# SPDX-License-Identifier: Apache-2.0
"""Datasets: one file per format."""
