"""A picture of the real screen: ``python -m tests.tui.picture SESSION OUT.png --size 140x40 --screen 1``.

SESSION is a session file or the name of a made-up one (``sessions.py``). The compositor's cells are painted
one by one, so that the picture is what a terminal shows; needs Pillow and a fixed-width font.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from nnwatch.tui.app import NnwatchApp

from .recording import File, Frames
from .sessions import SESSIONS

FONTS = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
    "/usr/share/fonts/dejavu-sans-mono-fonts/DejaVuSansMono.ttf",
    "/Library/Fonts/DejaVuSansMono.ttf",
]
SIZE = 17
"""Font size in pixels."""


async def cells(source, size, keys, *, theme="textual-dark", mode="attach", step=None, ascii=False):
    """The screen's rows as lists of (text, style) after the keys were pressed."""
    app = NnwatchApp(source, mode, ascii=ascii)
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        while not app.feed.caught_up.is_set():
            await pilot.pause(0.02)
        if step is not None:
            app.moment.go(step, app.presenter.timeline)
        app.tick()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            app.tick()
        await pilot.pause(0.1)
        return [list(strip) for strip in app.screen._compositor.render_strips()]


def braille(pen, x, y, wide, tall, bits, colour):
    """The dots of one braille character; fonts that have none are common."""
    radius = wide * 0.19
    for bit in range(8):
        if bits >> bit & 1:
            column = bit // 3 if bit < 6 else bit - 6
            row = bit % 3 if bit < 6 else 3
            cx, cy = x + wide * (0.25 + 0.5 * column), y + tall * (0.125 + 0.25 * row)
            pen.ellipse([cx - radius, cy - radius, cx + radius, cy + radius], colour)


def paint(rows, path, font_path=None):
    """Write the rows as a PNG."""
    from PIL import Image, ImageDraw, ImageFont

    file = font_path or next((font for font in FONTS if Path(font).exists()), None)
    if file is None:
        sys.exit("no DejaVu Sans Mono found; name a fixed-width font by --font")
    plain = ImageFont.truetype(file, SIZE)
    bold_file = Path(str(file).replace(".ttf", "-Bold.ttf"))
    bold = ImageFont.truetype(str(bold_file), SIZE) if bold_file.exists() else plain
    wide = round(plain.getlength("M"))
    tall = sum(plain.getmetrics())
    columns = max(sum(segment.cell_length for segment in row) for row in rows)
    image = Image.new("RGB", (columns * wide, len(rows) * tall))
    pen = ImageDraw.Draw(image)
    for y, row in enumerate(rows):
        x = 0
        for text, style, _ in row:
            front, back = (224, 224, 224), (18, 18, 18)
            if style is not None:
                front = tuple(style.color.get_truecolor()) if style.color else front
                back = tuple(style.bgcolor.get_truecolor()) if style.bgcolor else back
                if style.reverse:
                    front, back = back, front
                if style.dim:
                    front = tuple((f + b) // 2 for f, b in zip(front, back, strict=True))  # type: ignore[assignment]
            for char in text:
                pen.rectangle([x * wide, y * tall, (x + 1) * wide - 1, (y + 1) * tall - 1], back)
                if 0x2800 <= ord(char) < 0x2900:
                    braille(pen, x * wide, y * tall, wide, tall, ord(char) - 0x2800, front)
                elif char != " ":
                    pen.text((x * wide, y * tall), char, front, bold if style is not None and style.bold else plain)
                x += 1
    image.save(path)


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m tests.tui.picture", description=__doc__)
    parser.add_argument("session")
    parser.add_argument("out")
    parser.add_argument("--size", default="140x40", help="columns x rows")
    parser.add_argument("--screen", default="1", help="digit of the screen")
    parser.add_argument("--keys", default="", help="more keys to press, by Textual's names, separated by blanks")
    parser.add_argument("--step", type=int, help="the moment to show")
    parser.add_argument("--theme", default="textual-dark")
    parser.add_argument("--mode", default="attach", choices=["attach", "replay"])
    parser.add_argument("--ascii", action="store_true")
    parser.add_argument("--font")
    told = parser.parse_args(words)
    width, _, height = told.size.partition("x")
    source = Frames(SESSIONS[told.session]()) if told.session in SESSIONS else File(told.session)
    rows = asyncio.run(
        cells(
            source,
            (int(width), int(height)),
            [told.screen, *told.keys.split()],
            theme=told.theme,
            mode=told.mode,
            step=told.step,
            ascii=told.ascii,
        )
    )
    paint(rows, told.out, told.font)


if __name__ == "__main__":
    main()
