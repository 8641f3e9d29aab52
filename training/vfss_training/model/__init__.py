# SPDX-License-Identifier: Apache-2.0
"""A student network before and after training."""
