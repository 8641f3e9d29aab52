# SPDX-License-Identifier: Apache-2.0
"""The dock under the picture."""
