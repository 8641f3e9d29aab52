# SPDX-License-Identifier: Apache-2.0
"""Torch only: the architecture. The torch contract becomes one line."""
