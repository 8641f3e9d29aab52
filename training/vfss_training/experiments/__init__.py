# SPDX-License-Identifier: Apache-2.0
"""Comparisons of recipes, with confidence intervals, tables and plots."""
