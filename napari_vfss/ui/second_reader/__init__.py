# SPDX-License-Identifier: Apache-2.0
"""Second readings, agreement, adjudication."""
