"""``python -m nnwatch``."""

import sys

from .cli import main

sys.exit(main())
