# SPDX-License-Identifier: Apache-2.0
"""Teachers: large networks whose features a student learns. Nothing here downloads; files are named and verified."""
