# SPDX-License-Identifier: Apache-2.0
"""De-identification: recordings that may be passed on, and the review of their pixels that must come before.

`vfss.deidentify.project` writes the recordings, `vfss.deidentify.review_pack` what a person reviews. Nothing heavy is
imported here, so that exports can use the values below.
"""

from vfss.project.case_key import CaseKey
from vfss.project.pixel_reviews import PixelReview, PixelReviews
from vfss.redaction import PixelBox, Redaction

__all__ = ["CaseKey", "PixelBox", "PixelReview", "PixelReviews", "Redaction"]
