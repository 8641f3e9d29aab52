# SPDX-License-Identifier: Apache-2.0
"""A student fine-tuned on one clip while it is corrected."""
