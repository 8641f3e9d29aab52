# SPDX-License-Identifier: Apache-2.0
"""Dialogs that ask before an export, an import, training or the creation of phantoms."""
