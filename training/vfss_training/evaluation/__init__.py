# SPDX-License-Identifier: Apache-2.0
"""Scores and calibration of a finished student, averaging of two students."""
