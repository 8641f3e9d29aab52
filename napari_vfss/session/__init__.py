# SPDX-License-Identifier: Apache-2.0
"""Model of one annotator at work on one clip: strokes, acceptance, undo, unsaved changes. No Qt, no viewer."""
