# SPDX-License-Identifier: Apache-2.0
"""Pure tensors in, scalars out."""
