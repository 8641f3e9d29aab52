# SPDX-License-Identifier: Apache-2.0
"""Propagation of masks between frames of one clip; independent of any project."""
