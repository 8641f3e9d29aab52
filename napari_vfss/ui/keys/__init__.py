# SPDX-License-Identifier: Apache-2.0
"""Keyboard of the window: key overlay, key page, keyboard focus."""
