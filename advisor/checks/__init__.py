"""The checks before training, one a file; ``check.RECIPE`` has their order."""
