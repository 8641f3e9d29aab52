# SPDX-License-Identifier: Apache-2.0
"""Ties session, layers, jobs and keys of one viewer together; draws nothing (was "desk")."""
