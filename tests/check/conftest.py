from ..nnwatch.conftest import home

__all__ = ["home"]
