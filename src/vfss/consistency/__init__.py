# SPDX-License-Identifier: Apache-2.0
"""Which masks deserve a second look."""
