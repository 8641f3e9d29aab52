# SPDX-License-Identifier: Apache-2.0
"""Scores, calibration, averaging of weights."""
