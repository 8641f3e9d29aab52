# SPDX-License-Identifier: Apache-2.0
"""Which accepted masks look wrong, and why: an order in which to look at them again."""
