# SPDX-License-Identifier: Apache-2.0
"""Looking at pixels and hiding what must not leave."""
