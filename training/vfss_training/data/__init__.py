# SPDX-License-Identifier: Apache-2.0
"""Samples and how they are varied."""
