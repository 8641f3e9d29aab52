# SPDX-License-Identifier: Apache-2.0
"""Samples, where they come from and how they are varied, and arrays kept on disk."""
