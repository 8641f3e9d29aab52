# SPDX-License-Identifier: Apache-2.0
"""Questions before export, import, retraining, making phantoms."""
