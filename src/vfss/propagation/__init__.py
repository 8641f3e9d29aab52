# SPDX-License-Identifier: Apache-2.0
"""Masks carried between frames of one clip; knows no project."""
