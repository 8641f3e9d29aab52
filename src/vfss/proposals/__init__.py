# SPDX-License-Identifier: Apache-2.0
"""Machine proposals WRITTEN INTO a project: by student, by propagation, by a student fine-tuned on the clip."""
