# SPDX-License-Identifier: Apache-2.0
"""Threads of torch sleep while they wait for one another. Importing this before torch is what does it.

By default OpenMP's threads spin at the end of each parallel piece of work. Where other programs run too, the threads
that are waited for often do not run, and spinning takes the processor that they need.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
