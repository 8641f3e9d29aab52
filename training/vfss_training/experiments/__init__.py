# SPDX-License-Identifier: Apache-2.0
"""Ablations with confidence intervals."""
