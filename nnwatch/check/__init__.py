"""`nnwatch check`: a script is tried before it is trained.

The script runs as it is for a few hundred steps and is stopped; experiments are made with the training step that the
probes saw, and in further runs of the script. What was tried becomes events of an ordinary session (``trial.py``).
"""
