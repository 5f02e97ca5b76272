"""Pictures in the terminal itself, where it can show them: kitty, iTerm2, WezTerm."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from bench.report.pixels import png_bytes

if TYPE_CHECKING:
    from PIL import Image

#: About how many pixels of a picture a character is wide, and how many bytes kitty takes at a time.
_CHARACTER, _CHUNK = 12, 4096


def protocol(environment: Mapping[str, str]) -> str | None:
    """Return by which protocol a terminal shows pictures, `kitty` or `iterm`; None where it does not.

    Within tmux and screen the terminal behind them does not get what it would have to.
    """
    term = environment.get("TERM", "")
    if environment.get("TMUX") or term.startswith(("screen", "tmux")):
        return None
    if term == "xterm-kitty" or environment.get("KITTY_WINDOW_ID"):
        return "kitty"
    return "iterm" if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm") else None


def in_terminal(picture: Image.Image, how: str, columns: int) -> str:
    """Return the characters that show a picture in a terminal.

    kitty: https://sw.kovidgoyal.net/kitty/graphics-protocol; iTerm2: https://iterm2.com/documentation-images.html.

    Args:
        picture: what is shown.
        how: `kitty` or `iterm`.
        columns: how wide the terminal is, in characters.
    """
    data = png_bytes(picture)
    width = max(1, min(columns - 1, picture.width // _CHARACTER))
    text = base64.standard_b64encode(data).decode()
    if how == "iterm":
        about = f"inline=1;size={len(data)};width={width};preserveAspectRatio=1"
        return f"\033]1337;File={about}:{text}\a\n"
    chunks = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    # q=2: the terminal answers nothing, which a shell would take for typed.
    first = f"a=T,f=100,q=2,c={width},"
    return "".join(
        f"\033_G{first if not at else ''}m={int(at < len(chunks) - 1)};{chunk}\033\\"
        for at, chunk in enumerate(chunks)
    ) + "\n"  # fmt: skip


def show_picture(picture: Image.Image, stream: TextIO, environment: Mapping[str, str]) -> None:
    """Show a picture on a terminal that can show pictures; do nothing on any other stream."""
    how = protocol(environment) if stream.isatty() else None
    if how is not None:
        stream.write(in_terminal(picture, how, shutil.get_terminal_size().columns))
        stream.flush()
