# SPDX-License-Identifier: Apache-2.0
"""Evaluation: a student against what people accepted, and two readers against each other."""
