# SPDX-License-Identifier: Apache-2.0
"""Prompts: clicks and boxes that the student answers with masks."""
