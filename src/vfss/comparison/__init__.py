# SPDX-License-Identifier: Apache-2.0
"""Students of a project compared: what the gate says of a new one, and what there is to show of each."""
