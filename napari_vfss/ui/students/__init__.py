# SPDX-License-Identifier: Apache-2.0
"""The students page: a card of each student, what the gate says, canaries, and what was proposed anew."""
