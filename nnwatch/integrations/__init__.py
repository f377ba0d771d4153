"""For those who prefer a line of code to a launcher: each file has one callback of one framework.

A callback has the process watched (``nnwatch.watch``), before the framework's first step; the probes hear what the
framework logs and what it knows of the training. Under `nnwatch run` it does nothing: the process is watched already.
"""
