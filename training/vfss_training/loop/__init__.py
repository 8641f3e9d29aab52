# SPDX-License-Identifier: Apache-2.0
"""One training run, from batches to the weights that are kept."""
