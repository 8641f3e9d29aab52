# SPDX-License-Identifier: Apache-2.0
"""MODEL, no Qt: one annotator on one clip: strokes, acceptance, undo, unsaved changes."""
