# SPDX-License-Identifier: Apache-2.0
"""The foldable steps of the panel, one file each."""
