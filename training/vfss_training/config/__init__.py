# SPDX-License-Identifier: Apache-2.0
"""Recipes as checked data; the YAML files are in recipes/."""
