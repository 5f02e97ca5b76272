"""Pictures in terminals that show them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from bench.cli.terminal_picture import in_terminal, protocol, show_picture


@pytest.mark.parametrize(("environment", "how"), [
    ({"TERM": "xterm-kitty"}, "kitty"),
    ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
    ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, None),
    ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", "TMUX": "/tmp/t"}, None),
    ({}, None),
])  # fmt: skip
def test_a_terminal_says_by_its_environment_what_it_can(environment, how):
    assert protocol(environment) == how


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 480, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def same(data, picture):
    return np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(picture))


def test_kitty_gets_a_png_in_chunks(picture):
    text = in_terminal(picture, "kitty", 80)
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in parts) + "\n" == text
    assert len(parts) > 1
    assert parts[0][0] == "a=T,f=100,q=2,c=40,m=1"
    assert [keys for keys, _ in parts[1:]] == ["m=1"] * (len(parts) - 2) + ["m=0"]
    assert max(len(data) for _, data in parts) <= 4096
    assert same(base64.b64decode("".join(data for _, data in parts)), picture)


def test_iterm_gets_a_png_no_wider_than_the_terminal(picture):
    text = in_terminal(picture, "iterm", 30)
    size, data = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=29;preserveAspectRatio=1:([^\a]*)\a\n", text
    ).groups()
    assert len(base64.b64decode(data)) == int(size)
    assert same(base64.b64decode(data), picture)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_picture_is_shown_on_a_terminal_alone(picture):
    file, terminal, plain = io.StringIO(), Terminal(), Terminal()
    show_picture(picture, file, {"TERM": "xterm-kitty"})
    show_picture(picture, terminal, {"TERM": "xterm-kitty"})
    show_picture(picture, plain, {"TERM": "xterm"})
    assert (file.getvalue(), plain.getvalue()) == ("", "")
    assert terminal.getvalue().startswith("\x1b_Ga=T")
