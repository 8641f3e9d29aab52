# SPDX-License-Identifier: Apache-2.0
"""Teachers: large networks whose features a student learns. Only download.py asks the network, when told to."""
