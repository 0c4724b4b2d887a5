"""A file that is no TOML says which line is wrong and how to write it, and repeats no value."""

from __future__ import annotations

import tomllib

import pytest

from agent.wire.toml_text import parse

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (f"a = 1\ntoken = {SECRET}\n", '(at line 2, column 9). Write a text in quotes: token = "..."'),
        (f"source = rtsp://u:{SECRET}@cam/x", 'Write a text in quotes: source = "..."'),
        (f'token = "{SECRET}\n', "The quote that ends token is missing"),
        (f"token = \u201c{SECRET}\u201d", 'Write plain quotes: token = "..."'),
        (
            f'path = "C:\\video\\{SECRET}.mp4"',
            "In double quotes \\ begins a special letter; write single quotes",
        ),
        (f"token = 12,5{SECRET}", "Write the number of token with a point, as 0.5"),
        ("loop = True", "Write loop = true"),
        ("loop = no  # not now", "Write loop = false"),
        ("loop =", "Write a value behind loop ="),
        (f"token: {SECRET}", "Write token = and the value, not a colon"),
        (f'{{"token": "{SECRET}"}}', 'This is JSON; write TOML, as key = "text"'),
        (f'[a]\ntoken = 1\ntoken = "{SECRET}"', "token is there twice: take one out"),
        ("[a]\nb = 1\n[a]\nc = 1", "[a] is there twice: put both into one, or give one another name"),
        (f'a = """\nb = {SECRET}', "A text in triple quotes has no end"),
        ("[a.b\nc = 1", "Write [a.b] on a line of its own"),
        ("[a] c = 1", "Write [a] on a line of its own"),
        (
            f'labels = ["car", "{SECRET}"\n',
            "The list of labels has no end: write a comma between its values, and ] behind the last",
        ),
        (f'line = [[0.1, 0.2], [0.3 0.4]]\n[a]\nb = "{SECRET}"', "The list of line has no end"),
        (f'labels = ["{SECRET}"\nloop = true', "The list of labels has no end"),
        (
            f'broker = {{ url = "{SECRET}"\n',
            "The table of broker has no end: write a comma between its values, and }",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_cannot_be_read_says_how_to_write_it(text: str, advice: str, end: str) -> None:
    """In one line, with either end of a line; never the value, which may be a secret."""
    with pytest.raises(tomllib.TOMLDecodeError) as error:
        parse(text.replace("\n", end))
    told = str(error.value)
    assert advice in told
    assert SECRET not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "text", ["a = [1,\n2", "= 1", "a b = 1", "a = 1 2", "a = 2026-99-99", "\0", '"a\\x" = 1']
)
def test_what_is_not_plain_gets_no_wrong_advice(text: str) -> None:
    """The reader's own words stand alone."""
    with pytest.raises(tomllib.TOMLDecodeError) as known:
        tomllib.loads(text)
    with pytest.raises(tomllib.TOMLDecodeError) as error:
        parse(text)
    assert str(error.value).startswith(str(known.value))


def test_a_good_file_is_read_as_it_is() -> None:
    """Values are the library's."""
    text = 'a = 1\n[b]\nc = "x: y = z"\nd = """\n[b]\n"""\n'
    assert parse(text) == tomllib.loads(text)
