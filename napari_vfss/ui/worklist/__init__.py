# SPDX-License-Identifier: Apache-2.0
"""The worklist: a row per clip of the project, as a page over the picture and as a narrow dock beside it."""
