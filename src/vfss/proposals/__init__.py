# SPDX-License-Identifier: Apache-2.0
"""Proposals written into a project: by a student, by propagation, by a clip-adapted student."""
