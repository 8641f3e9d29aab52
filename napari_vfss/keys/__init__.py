# SPDX-License-Identifier: Apache-2.0
"""Keys: spelling, bindings and display. Knows none of the actions."""
