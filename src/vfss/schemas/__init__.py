# SPDX-License-Identifier: Apache-2.0
"""Schemas that ship with the package, one YAML file each."""
