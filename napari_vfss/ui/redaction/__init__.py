# SPDX-License-Identifier: Apache-2.0
"""Review of the pixels of a recording, and boxes and crop that hide what identifies the patient."""
