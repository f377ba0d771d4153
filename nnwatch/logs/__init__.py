"""Logs that other tools wrote, opened as if nnwatch had watched: one file a format, and what they have in common.

Heavy readers are loaded when a log of theirs is opened: listing a folder loads none.
"""
