"""`python -m weighbridge`: the command line."""

from __future__ import annotations

import sys

from weighbridge.cli.main import main

sys.exit(main())
