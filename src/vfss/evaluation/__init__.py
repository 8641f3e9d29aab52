# SPDX-License-Identifier: Apache-2.0
"""Student vs truth, reader vs reader."""
