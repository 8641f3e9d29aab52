# SPDX-License-Identifier: Apache-2.0
"""What to train on: phantoms or projects, teachers, pseudo-labels."""
