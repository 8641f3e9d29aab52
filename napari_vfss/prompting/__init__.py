# SPDX-License-Identifier: Apache-2.0
"""Clicks and boxes -> student -> mask (the field says "prompts")."""
