"""The data that the trainings read, written beside them as plain files; all of it ships with installed packages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np


def write(folder: Path) -> None:
    """digits, cancer, wine and diabetes as ``.npz`` with ``x`` (rows, columns) and ``y`` (rows,), and ``text.txt``."""
    import sklearn.datasets as datasets

    folder.mkdir(parents=True, exist_ok=True)
    loaders = {
        "digits": datasets.load_digits,
        "cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "diabetes": lambda: datasets.load_diabetes(scaled=False),
    }
    for name, load in loaders.items():
        path = folder / f"{name}.npz"
        if not path.exists():
            table = load()
            np.savez(path, x=table.data, y=table.target)
    text = folder / "text.txt"
    if not text.exists():
        pages = sorted((Path(datasets.__file__).parent / "descr").glob("*.rst"))
        whole = "\n".join(page.read_text(encoding="utf-8") for page in pages)
        text.write_text(re.sub(r"[^a-z \n.,]+", "", re.sub(r"[ \t]+", " ", whole.lower())))
