# SPDX-License-Identifier: Apache-2.0
"""Imported by Python when it starts if this folder is on PYTHONPATH: refuses and records contacts from then on."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import refused_contacts

sys.path.pop()
refused_contacts.refuse()
