"""The centre's TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from aggregator.config import SAMPLE, Config, ConfigError, load
from aggregator.setup import settings


def write(folder: Path, text: str) -> Path:
    """Write a config file."""
    path = folder / "aggregator.toml"
    path.write_text(text)
    return path


def test_sample_is_the_reference() -> None:
    """The sample shows every option, with the default that holds when it is left out."""
    shown = tomllib.loads(SAMPLE.read_text())
    place = {"folder", "file"}  # of the config itself; no options
    fields = msgspec.structs.fields(Config)
    sections = {field.name: field.type for field in fields if field.name not in place}
    assert shown.keys() == sections.keys()
    for name, kind in sections.items():
        assert shown[name].keys() == {field.name for field in msgspec.structs.fields(kind)}, name
    assert msgspec.structs.replace(load(SAMPLE), folder=".", file="") == Config()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[http]\nprot = 1\n", "http.prot: unknown key"),
        ("[htp]\n", "htp: unknown table. Did you mean 'http'?"),
        (
            "[database]\n",
            "database: unknown table. It is known below [mongodb]. Known here: broker, mongodb, ",
        ),
        ("port = 80\n", "port: unknown key. It is known below [http] or below [mail]. Known here: broker, "),
        ('folder = "/"\n', "folder: unknown key. Known here: broker, "),
        ("[http]\nport = 70000\n", "http.port: "),
        ("[http]\nport = \n", "aggregator.toml: "),
        ('[site]\ntimezone = "Mars/Olympus"\n', "site.timezone: no zone 'Mars/Olympus'"),
        ('[broker]\nurl = "http://x"\n', "broker.url: "),
        ('[mongodb]\nuri = "x"\n', "mongodb.uri: "),
        ('[mongodb]\nusername = "x"\n', "mongodb.password_file: "),
        ('[http]\ntoken_file = "nothing"\n', "nothing: No such file"),
        ('[http]\ntoken = "x"\ntoken_file = "y"\n', "http.token: give a token or"),
        ('[http]\nhost = "0.0.0.0"\ntoken = "short"\n', "http.token: at least 16"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, text: str, reason: str) -> None:
    """A bad config is one line that names the key."""
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, text))
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_any_editor_is_read_and_changed(tmp_path: Path) -> None:
    """One that begins with a mark is read and set; one in UTF-16 is refused with what to do."""
    path = tmp_path / "aggregator.toml"
    path.write_bytes('[site]\r\ntimezone = "UTC"\r\n'.encode("utf-8-sig"))
    assert settings.change(path, "site.timezone", "Europe/Berlin") == 'site.timezone = "Europe/Berlin"'
    assert load(path).site.timezone == "Europe/Berlin"
    path.write_bytes("[site]\n".encode("utf-16"))
    for read in (load, lambda path: settings.change(path, "site.timezone", "UTC")):
        with pytest.raises(ConfigError, match=r"is no UTF-8 text\. Save it as UTF-8"):
            read(path)


def test_missing_file_names_the_option(tmp_path: Path) -> None:
    """A file that is not there says how to name another."""
    with pytest.raises(ConfigError, match="--config FILE"):
        load(tmp_path / "none.toml")


def test_secrets_come_from_files_beside_the_config(tmp_path: Path) -> None:
    """Relative paths start at the config's folder, and a password is quoted into the address."""
    (tmp_path / "word").write_text("p@ss/word\n")
    text = '[mongodb]\nuri = "mongodb://db:1/?authSource=x"\nusername = "gb"\npassword_file = "word"\n'
    config = load(write(tmp_path, text + '[broker]\npassword_file = "word"\n[http]\ntoken_file = "word"\n'))
    assert config.mongodb_uri() == "mongodb://gb:p%40ss%2Fword@db:1/?authSource=x"
    assert config.broker_settings().secret() == "p@ss/word"
    assert config.token() == "p@ss/word"
