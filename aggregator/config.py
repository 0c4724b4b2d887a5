"""The centre's TOML: typed and strict. An unknown key is refused with its path.

`aggregator.toml` beside this file is the reference: it shows every option with its default. Relative paths
in a config file are relative to that file's folder. Secrets are named by files; those files are read here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from agent.mqtt.client import BrokerError, BrokerSettings
from agent.wire import toml_text
from agent.wire.mismatch import explain
from aggregator import client, origin

SAMPLE = Path(__file__).parent / "aggregator.toml"

TopicName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=100)]
Days = Annotated[int, Meta(ge=1, le=36_500)]
Megabytes = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class ConfigError(Exception):
    """A configuration that cannot be used; the text names the file, the key and the remedy."""


class BrokerSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the events come from."""

    url: str = "mqtt://127.0.0.1:1883"
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    client_id: str = ""  # empty: a new one at each start


class MongoSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where they are kept, and how long."""

    uri: str = "mongodb://127.0.0.1:27017"
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    database: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,38}$")] = "gb_fleet"
    detail_days: Days = 30
    tally_days: Days = 730
    batch_days: Days = 90
    history_days: Days = 3650
    pictures_days: Days = 366
    low_free_mb: Megabytes = 1024
    full_free_mb: Megabytes = 256


class HttpSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the page and the API are served."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    token: str = ""
    token_file: str = ""
    origins: list[str] = []  # of our page, where a proxy hides its address from the centre
    base_path: Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    tls: bool = False
    certificate_file: str = "page.crt"  # as `init` makes it
    key_file: str = "page.key"
    secure_cookie: bool = False
    session_hours: Annotated[int, Meta(ge=1, le=8760)] = 168
    trusted_proxies: list[str] = []  # addresses and networks whose X-Forwarded-For is believed
    max_connections: Annotated[int, Meta(ge=16, le=100_000)] = 1000
    sign_in_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{0,60}$")] = ""
    sign_in_proxies: list[str] = []  # addresses and networks whose sign_in_header is believed
    sign_in_role: Literal["", "viewer", "operator", "admin"] = ""

    @property
    def proxies(self) -> list[client.Network]:
        """The networks of `trusted_proxies`; raise ValueError for what is none."""
        return client.networks(self.trusted_proxies)

    @property
    def sign_in_from(self) -> list[client.Network]:
        """The networks of `sign_in_proxies`; raise ValueError for what is none."""
        return client.networks(self.sign_in_proxies)


class IngestSection(Struct, frozen=True, forbid_unknown_fields=True):
    """How much may wait in memory between the broker and the database."""

    queue_batches: Annotated[int, Meta(ge=1, le=100_000)] = 500
    group_batches: Annotated[int, Meta(ge=1, le=10_000)] = 250
    linger_ms: Annotated[int, Meta(ge=0, le=1000)] = 20


class SiteSection(Struct, frozen=True, forbid_unknown_fields=True):
    """What belongs to the place."""

    timezone: str = "UTC"
    join: str = "gb-aggregator add-node gate-07"


class EnrolSection(Struct, frozen=True, forbid_unknown_fields=True):
    """What a new box is told, and where the secrets of `gb-aggregator init` lie."""

    dir: str = ""
    hosts: list[str] = []
    broker_port: Annotated[int, Meta(ge=1, le=65535)] = 8883
    code_minutes: Annotated[int, Meta(ge=1, le=10_080)] = 60
    repository: str = ""  # whence a box clones the program


class AlertsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """How alerts are sent."""

    try_hours: Annotated[int, Meta(ge=1, le=720)] = 24


class MailSection(Struct, frozen=True, forbid_unknown_fields=True):
    """The server by which alerts are mailed."""

    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    sender: Annotated[str, Meta(pattern=r"^([^@\s<>]+@[^@\s<>]+)?$")] = ""


class HomeAssistantSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether Home Assistant is told of nodes, and where."""

    enabled: bool = False
    discovery_prefix: TopicName = "homeassistant"
    topic: TopicName = "gb/ha"


class MirrorSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether events are told as JSON over MQTT, and where."""

    enabled: bool = False
    topic: TopicName = "gb/json"


class PrometheusSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether /metrics has counters of crossings."""

    crossings: bool = False


class CrossingsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where crossings are posted to."""

    url: Annotated[str, Meta(max_length=2000, pattern=r"^(https?://[^\s/?#]+[^\s]*)?$")] = ""
    secret_file: str = ""
    keep_hours: Annotated[int, Meta(ge=1, le=720)] = 72


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, as people write it."""

    broker: BrokerSection = BrokerSection()
    mongodb: MongoSection = MongoSection()
    http: HttpSection = HttpSection()
    ingest: IngestSection = IngestSection()
    site: SiteSection = SiteSection()
    enrol: EnrolSection = EnrolSection()
    alerts: AlertsSection = AlertsSection()
    mail: MailSection = MailSection()
    home_assistant: HomeAssistantSection = HomeAssistantSection()
    mirror: MirrorSection = MirrorSection()
    prometheus: PrometheusSection = PrometheusSection()
    crossings: CrossingsSection = CrossingsSection()


class Config(File, frozen=True):
    """What holds. `folder`: where the file lies; every relative path starts there. `file`: its path."""

    folder: str = "."
    file: str = ""

    def path(self, name: str) -> Path:
        """Return a path of the config, resolved against the file's folder."""
        return Path(self.folder) / name

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.site.timezone)

    def broker_settings(self, client_id: str = "") -> BrokerSettings:
        """Return what `agent.mqtt.client.connect` takes."""
        section = self.broker
        return BrokerSettings.parse(
            section.url,
            username=section.username,
            password_file=str(self.path(section.password_file)) if section.password_file else "",
            ca_file=str(self.path(section.ca_file)) if section.ca_file else "",
            client_id=client_id,
        )

    def mongodb_uri(self) -> str:
        """Return the database's address with the name and the password in it; raise ConfigError."""
        section = self.mongodb
        if not section.username:
            return section.uri
        who = f"{quote(section.username, safe='')}:{quote(self.secret(section.password_file), safe='')}"
        scheme, _, rest = section.uri.partition("://")
        return f"{scheme}://{who}@{rest.rpartition('@')[2]}"

    def token(self) -> str:
        """Return the administrator's token, empty if there is none; raise ConfigError."""
        return self.secret(self.http.token_file) if self.http.token_file else self.http.token

    def secret(self, name: str) -> str:
        """Read a file of one secret; raise ConfigError."""
        try:
            return self.path(name).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is no text"
            raise ConfigError(f"{self.path(name)}: {why}. It must hold a secret and nothing else") from None


def load(path: Path) -> Config:
    """Read and check a config file; raise ConfigError."""
    try:
        tree = toml_text.parse(path.read_text("utf-8-sig"))  # some editors begin a file with a mark
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Name the file with --config FILE") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no UTF-8 text. Save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        file = msgspec.convert(tree, File)
    except msgspec.ValidationError:
        raise ConfigError(f"{path}: {explain(tree, File, toml=True, file=File)}") from None
    whole = path.resolve()
    config = Config(**msgspec.structs.asdict(file), folder=str(whole.parent), file=str(whole))
    _check(config, path)
    return config


def _check(config: Config, path: Path) -> None:
    try:
        _ = config.zone
    except (ZoneInfoNotFoundError, ValueError, OSError):
        name = config.site.timezone
        raise ConfigError(
            f"{path}: site.timezone: no zone {name!r}; write a name like Europe/Berlin"
        ) from None
    try:
        config.broker_settings()
    except BrokerError as error:
        raise ConfigError(f"{path}: broker.url: {error}") from None
    try:
        _ = config.http.proxies
    except ValueError as error:
        raise ConfigError(f"{path}: http.trusted_proxies: {error}; write 10.0.0.5 or 10.0.0.0/8") from None
    try:
        _ = config.http.sign_in_from
    except ValueError as error:
        raise ConfigError(f"{path}: http.sign_in_proxies: {error}; write 10.0.0.5 or 10.0.0.0/8") from None
    if config.http.sign_in_header and not config.http.sign_in_proxies:
        raise ConfigError(f"{path}: http.sign_in_header: name in sign_in_proxies who may send it")
    if urlsplit(config.mongodb.uri).scheme not in ("mongodb", "mongodb+srv"):
        raise ConfigError(f"{path}: mongodb.uri: it must look like mongodb://HOST:27017")
    if config.mongodb.full_free_mb > config.mongodb.low_free_mb:
        raise ConfigError(f"{path}: mongodb.full_free_mb: at most low_free_mb, {config.mongodb.low_free_mb}")
    for one in config.http.origins:
        if not origin.normal(one):
            raise ConfigError(f"{path}: http.origins: {one!r} is none; write it like https://fleet.example")
    if config.http.token and config.http.token_file:
        raise ConfigError(f"{path}: http.token: give a token or a token_file, not both")
    if config.mongodb.username and not config.mongodb.password_file:
        raise ConfigError(f"{path}: mongodb.password_file: a username needs it")
    if config.mail.host and not config.mail.sender:
        raise ConfigError(f"{path}: mail.sender: a host needs it; write it like fleet@example.com")
    if config.mail.username and not config.mail.password_file:
        raise ConfigError(f"{path}: mail.password_file: a username needs it")
    if config.crossings.url and not config.crossings.secret_file:
        raise ConfigError(f"{path}: crossings.secret_file: an url needs it; it holds whsec_ and base64")
    local = config.http.host in ("localhost", "::1") or config.http.host.startswith("127.")
    token = config.token()
    if not local and 0 < len(token) < 16:
        raise ConfigError(f"{path}: http.token: at least 16 characters, since other machines are served")
