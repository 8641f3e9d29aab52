# SPDX-License-Identifier: Apache-2.0
"""De-identification: recordings that may leave the house, and what a person must have looked at before.

`vfss.deidentify.project` writes them, `preparing` makes what a person looks at. Nothing heavy is imported here, so that
exports can use the values below.
"""

from vfss.project.case_key import CaseKey
from vfss.project.pixel_reviews import PixelReview, PixelReviews
from vfss.redaction import PixelBox, Redaction

__all__ = ["CaseKey", "PixelBox", "PixelReview", "PixelReviews", "Redaction"]
