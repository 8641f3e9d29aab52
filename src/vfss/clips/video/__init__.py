# SPDX-License-Identifier: Apache-2.0
"""Clips in video files, with exact random access to frames."""
