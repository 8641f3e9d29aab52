# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of a student on one clip while it is corrected."""
