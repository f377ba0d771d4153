"""The screen. Importing it sets manners for slow lines before Textual reads them."""

import os

os.environ.setdefault("TEXTUAL_FPS", "20")  # the data change ten times a second; more is bytes over SSH for nothing
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
