# SPDX-License-Identifier: Apache-2.0
"""Networks of the teachers, one file each, with the names of their published weights."""
