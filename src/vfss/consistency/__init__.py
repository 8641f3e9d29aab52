# SPDX-License-Identifier: Apache-2.0
"""Finds masks that deserve a second look."""
