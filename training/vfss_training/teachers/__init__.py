# SPDX-License-Identifier: Apache-2.0
"""Frozen teachers: large networks whose features a student learns.

Only download.py contacts a server, and only when a download is requested.
"""
