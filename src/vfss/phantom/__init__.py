# SPDX-License-Identifier: Apache-2.0
"""The phantom: lateral swallows with exact masks."""
