"""The kinds of frames that a chapter is made of: they say again, in fewer bytes, what other frames said."""

from __future__ import annotations

from msgspec import Struct


class Story(Struct, tag="story", omit_defaults=True):
    """All frames of a chapter that are no numbers, as they were: one behind the other, deflated."""

    data: bytes


class Columns(Struct, tag="columns", omit_defaults=True):
    """Many blocks of a chapter as one: steps, times and values of a Block, squeezed (see ``squeeze``)."""

    schema: int
    segment: int
    rank: int
    count: int
    data: bytes


class Overview(Struct, tag="overview", omit_defaults=True):
    """Records in ``count`` buckets, squeezed as Columns are: step and time of each bucket's last record, and of every
    column the smallest, the largest and the mean number, the last one, and how many are not NaN.

    ``records``: int64 (count,), deflated: how many each bucket is made of; empty from an older writer."""

    schema: int
    segment: int
    rank: int
    count: int
    data: bytes
    records: bytes = b""


class Place(Struct, array_like=True):
    """Where Columns or an Overview begin in the file, and what they hold: for finding a step without reading them."""

    at: int
    schema: int
    segment: int
    rank: int
    first_step: int
    last_step: int


class Level(Struct, array_like=True):
    """Overviews of everything between the Chapter at byte ``since`` (0: the beginning) and the one that lists them."""

    since: int
    places: list[Place]


class Chapter(Struct, tag="chapter", omit_defaults=True):
    """Everything since the Chapter at byte ``previous`` (0: the beginning) is told again, in fewer and smaller frames.

    ``number`` frames of the file are before this one; the Story begins at byte ``story``. ``overviews`` reach ever
    further back: each level covers sixteen times what the one before it does.
    """

    number: int
    previous: int
    story: int
    columns: list[Place]
    overviews: list[Level]
