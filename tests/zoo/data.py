"""The data that the trainings read, written beside them as plain files; all of it ships with installed packages."""

from __future__ import annotations

import ast
import contextlib
import io
import keyword
import re
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

LENGTH = 32
"""Letters of a line of source, padding included."""
PACKAGES = ("asyncio", "email", "http", "logging", "unittest", "xml")
"""Whose docstrings are read."""
WORDS, VOCABULARY = 24, 1200
"""Words of a docstring that are kept, padding included, and how many different ones are known."""
PROSE, COMMON = 24_000, 500
"""Words of running text, and how many different ones are known."""
PHOTO = (64, 96)
"""Rows and columns of the photograph of a flower."""
NAMES, IDENTIFIERS = 32, 1000
"""Names within a function that are kept, padding included, and how many different ones are known."""
CLAUSES = (
    (ast.For, ast.While, ast.AsyncFor),
    (ast.If, ast.IfExp),
    (ast.Raise,),
    (ast.Try,),
    (ast.With, ast.AsyncWith),
    (ast.Yield, ast.YieldFrom, ast.Await),
    (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda),
)
"""What a function may contain: a loop, a condition, an exception, its handling, a context, a wait, a function in it."""
COUNTED = (
    ast.Call, ast.Name, ast.Attribute, ast.Constant, ast.Assign, ast.arg, ast.Return, ast.BinOp, ast.Compare,
    ast.If, ast.For, ast.Tuple,
)  # fmt: skip
"""What is counted in a function, to foretell how many lines it has."""


def write(folder: Path) -> None:
    """digits, cancer, wine and diabetes as ``.npz`` with ``x`` (rows, columns) and ``y`` (rows,), ``text.txt``,
    ``source.npz``: lines of Python as letters ``x`` and kinds of token ``y`` (rows, LENGTH), both padded with 0,
    ``docs.npz``: docstrings as numbers of words ``x`` (rows, WORDS), padded with 0, and of packages ``y`` (rows,),
    ``prose.npz``: whole docstrings, one after the other, as numbers of words ``x`` (PROSE,), ``photo.npz``: colours
    ``x`` (*PHOTO, 3) of a flower, 0 to 1, ``temple.npz``: light ``x`` (128, 208) of a larger picture, 0 to 1,
    ``functions.npz``: numbers of names ``x`` (rows, NAMES), padded with 0, of functions, which CLAUSES ``y`` they have,
    how many COUNTED things ``counts`` and how many ``lines``, and ``facts.npz``: ``x`` (facts, 3), which class is
    derived from which, has which method, is in which module: numbers of subject, relation and object."""
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
    source = folder / "source.npz"
    if not source.exists():
        files = sorted(Path(datasets.__file__).parent.glob("_*.py"))
        lines = [line for file in files for line in _tagged(file.read_text(encoding="utf-8"))]
        x, y = (np.array(codes, dtype=np.int64) for codes in zip(*lines, strict=True))
        np.savez(source, x=x, y=y)
    docs = folder / "docs.npz"
    if not docs.exists():
        x, y = _numbered(list(_docstrings()))
        np.savez(docs, x=x, y=y)
    prose = folder / "prose.npz"
    if not prose.exists():
        whole_docs = [([*words, "."], number) for words, number in _docstrings(None)]
        words = [word for text, _ in whole_docs for word in text][:PROSE]
        known = {word: number for number, (word, _) in enumerate(Counter(words).most_common(COMMON), 1)}
        np.savez(prose, x=np.array([known.get(word, 0) for word in words], dtype=np.int64))
    photo = folder / "photo.npz"
    if not photo.exists():
        height, width = PHOTO
        image = datasets.load_sample_image("flower.jpg")[: 6 * height, 32 : 32 + 6 * width]
        np.savez(photo, x=image.reshape(height, 6, width, 6, 3).mean((1, 3)).astype(np.float32) / 255)
    temple = folder / "temple.npz"
    if not temple.exists():
        image = datasets.load_sample_image("china.jpg")[40:424, 8:632].mean(2)
        np.savez(temple, x=image.reshape(128, 3, 208, 3).mean((1, 3)).astype(np.float32) / 255)
    functions = folder / "functions.npz"
    if not functions.exists():
        called, kinds, counts, lengths = zip(*_functions(), strict=True)
        coded = _coded(called)
        np.savez(functions, x=coded, y=np.array(kinds), counts=np.array(counts), lines=np.array(lengths))
    facts = folder / "facts.npz"
    if not facts.exists():
        np.savez(facts, x=_facts())


def _docstrings(most: int | None = WORDS) -> Iterator[tuple[list[str], int]]:
    """The words of each docstring of some packages of the standard library, and the number of its package."""
    for number, package in enumerate(PACKAGES):
        for file in sorted(Path(sysconfig.get_path("stdlib"), package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                    found = re.findall(r"[a-z]+", (ast.get_docstring(node) or "").lower())
                    if len(found) >= 6:
                        yield found[:most], number


def _modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module of the packages: its name and its syntax."""
    for package in PACKAGES:
        for file in sorted(Path(sysconfig.get_path("stdlib"), package).rglob("*.py")):
            yield f"{package}.{file.stem}", ast.parse(file.read_text(encoding="utf-8"))


def _functions() -> Iterator[tuple[list[str], list[float], list[int], int]]:
    """Of each function with a body: the names in it, which clauses it has, what is counted in it, its lines."""
    for _, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                parts = list(ast.walk(node))[1:]
                names = [part.id for part in parts if isinstance(part, ast.Name)]
                names += [part.attr for part in parts if isinstance(part, ast.Attribute)]
                if len(names) >= 6:
                    does = [float(any(isinstance(part, kinds) for part in parts)) for kinds in CLAUSES]
                    counts = [sum(isinstance(part, kind) for part in parts) for kind in COUNTED]
                    yield names, does, counts, (node.end_lineno or 0) - node.lineno + 1


def _coded(rows: Sequence[list[str]]) -> np.ndarray:
    """Names by how frequent they are, from 2; 1 is any other name."""
    count = Counter(name for names in rows for name in names)
    known = {name: number for number, (name, _) in enumerate(count.most_common(IDENTIFIERS), 2)}
    kept = [names[:NAMES] for names in rows]
    return np.array([[known.get(n, 1) for n in names] + [0] * (NAMES - len(names)) for names in kept], dtype=np.int64)


def _facts() -> np.ndarray:
    """What is said of classes with things that at least three facts are about."""
    found: list[tuple[str, int, str]] = []
    for module, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.append((node.name, 2, module))
                found += [(node.name, 0, base.id) for base in node.bases if isinstance(base, ast.Name)]
                found += [(node.name, 1, f"{part.name}()") for part in node.body if isinstance(part, ast.FunctionDef)]
    found = sorted(set(found))
    for _ in range(4):
        count = Counter(name for subject, _, object in found for name in (subject, object))
        found = [fact for fact in found if count[fact[0]] >= 3 and count[fact[2]] >= 3]
    known = {name: i for i, name in enumerate(sorted({name for fact in found for name in (fact[0], fact[2])}))}
    return np.array([(known[subject], relation, known[object]) for subject, relation, object in found])


def _numbered(docs: list[tuple[list[str], int]]) -> tuple[np.ndarray, np.ndarray]:
    """Words by how frequent they are, from 2; 1 is any other word."""
    count = Counter(word for text, _ in docs for word in text)
    known = {word: number for number, (word, _) in enumerate(count.most_common(VOCABULARY), 2)}
    rows = [[known.get(word, 1) for word in text] + [0] * (WORDS - len(text)) for text, _ in docs]
    return np.array(rows, dtype=np.int64), np.array([package for _, package in docs], dtype=np.int64)


def _tagged(text: str) -> Iterator[tuple[list[int], list[int]]]:
    """The short lines of a file that are more than one long string: codes of their letters, and the kind of each."""
    kinds = {tokenize.NAME: 2, tokenize.NUMBER: 3, tokenize.STRING: 4, tokenize.COMMENT: 5, tokenize.OP: 6}
    rows = text.splitlines()
    tags = [[1] * len(row) for row in rows]
    within: set[int] = set()
    with contextlib.suppress(tokenize.TokenError):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            (top, left), (bottom, right) = token.start, token.end
            if top != bottom:
                within |= set(range(top - 1, bottom))
            elif token.type in kinds:
                kind = 7 if keyword.iskeyword(token.string) else kinds[token.type]
                tags[top - 1][left:right] = [kind] * (right - left)
    for number, row in enumerate(rows):
        if number not in within and len(row.strip()) >= 8 and len(row) <= LENGTH:
            padding = [0] * (LENGTH - len(row))
            yield [*(min(ord(letter), 127) for letter in row), *padding], [*tags[number], *padding]
