# SPDX-License-Identifier: Apache-2.0
"""What the students page can do by key; apart from the page, whose libraries take long to import."""

from __future__ import annotations

STUDENT_ACTS = (
    "use", "roll_back", "compare", "extend", "canaries", "renew_clip", "renew_project", "import", "export", "delete",
    "stop",
)  # fmt: skip
"""What `StudentsPage.press` can do; actions of the same names, after "students.", ask for it."""
