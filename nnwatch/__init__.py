"""nnwatch: a terminal monitor and advisor for PyTorch training.

Importing this package is free on purpose: it happens inside the user's training process.
"""

__version__ = "0.1.0"
