# SPDX-License-Identifier: Apache-2.0
"""Recipes as checked data (YAML stays in recipes/)."""
