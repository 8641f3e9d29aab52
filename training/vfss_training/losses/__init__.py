# SPDX-License-Identifier: Apache-2.0
"""Losses of masks and features, and the balance of several teachers: pure functions of tensors."""
