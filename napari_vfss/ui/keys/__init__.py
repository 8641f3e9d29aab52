# SPDX-License-Identifier: Apache-2.0
"""Overlay and page of keys, focus."""
