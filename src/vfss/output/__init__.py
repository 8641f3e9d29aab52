# SPDX-License-Identifier: Apache-2.0
"""Folders and files that are whole or not there; below datasets and deidentify."""
