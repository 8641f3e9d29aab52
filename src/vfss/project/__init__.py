# SPDX-License-Identifier: Apache-2.0
"""The project: the only thing that is saved."""
