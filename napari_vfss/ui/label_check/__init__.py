# SPDX-License-Identifier: Apache-2.0
"""The page that lists accepted masks that look wrong."""
