# SPDX-License-Identifier: Apache-2.0
"""A student network before, during and after training: first weights, setup, and export."""
