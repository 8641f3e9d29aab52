# SPDX-License-Identifier: Apache-2.0
"""Progress of a project: frames a day, seconds a frame, and how many proposals were accepted as they were."""
