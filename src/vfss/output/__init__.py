# SPDX-License-Identifier: Apache-2.0
"""What leaves the program: files and folders that appear complete or not at all, and what is common to all of them."""

from collections.abc import Callable

Progress = Callable[[int, int], bool]
"""Called with the number of frames or files done and of all; False cancels."""

NOTICE = (
    "Research software for annotating recordings and preparing research datasets. Not a medical device; not cleared, "
    "approved or CE-marked; not for diagnosis, treatment decisions or patient management. Masks, events and "
    "measurements are unvalidated proposals to be checked by a qualified person. The user is responsible for ethics "
    "approval, consent, data protection and de-identification."
)
"""Stands in every dataset and every folder of de-identified recordings."""
