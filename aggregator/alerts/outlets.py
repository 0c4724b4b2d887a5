"""The ways out of a message: webhook, e-mail, MQTT. The page reads alerts from the store and needs none.

What always holds: one attempt either succeeds or raises `NotSent` with one line that says why; it never
waits longer than `SECONDS`. A webhook is signed as Standard Webhooks 1.0 says: HMAC-SHA256 over
`id.timestamp.body` under the outlet's secret, so a receiver can tell ours from others', old from new, and
drop what comes twice. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import smtplib
import ssl
import time
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import Annotated, Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout
from msgspec import Meta, Struct

from agent.mqtt.client import BrokerError
from aggregator.alerts.rules import OutletName
from aggregator.config import Config, ConfigError

SECONDS = 10.0
_PREFIX = "whsec_"
_ANSWER = 200  # letters of what a refusing receiver says
_GONE = 410  # the receiver wants no more: it is not tried again

Publish = Callable[[str, bytes], Awaitable[None]]
Address = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+$")]
Url = Annotated[str, Meta(max_length=2000, pattern=r"^https?://[^\s/?#]+[^\s]*$")]
Topic = Annotated[str, Meta(max_length=200, pattern=r"^(?!\$)(?!gb/1/)[^+#\x00-\x20]+$")]


class NotSent(Exception):
    """An attempt that failed; the text says why. `for_good`: another one makes no sense."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class Outlet(Struct, forbid_unknown_fields=True, tag_field="kind"):
    """What all outlets have: nothing but their kind."""


class Webhook(Outlet, tag="webhook"):
    """POST to an address. `secret`: empty for a new one, which the answer shows once."""

    url: Url
    secret: Annotated[str, Meta(max_length=200)] = ""

    def __post_init__(self) -> None:
        if self.secret:
            key_of(self.secret)


class Mail(Outlet, tag="mail"):
    """E-mail by the server of `[mail]` in aggregator.toml."""

    to: Annotated[list[Address], Meta(min_length=1, max_length=50)]


class Mqtt(Outlet, tag="mqtt"):
    """A message on a topic of the centre's broker, JSON, QoS 1, not retained."""

    topic: Topic = "gb/alerts"


AnyOutlet = Webhook | Mail | Mqtt


class NamedOutlet(Struct):
    """An outlet as it is kept and shown. A webhook's secret is shown when it is made, and never again."""

    id: OutletName
    outlet: AnyOutlet


def new_secret() -> str:
    """Return a secret for a webhook: 256 bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Return the key of a secret, `whsec_` and base64; raise ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the secret is `whsec_` and base64; leave it out for a new one") from None
    if len(key) < 16:
        raise ValueError("the secret has at least 16 bytes; leave it out for a new one")
    return key


def signed(secret: str, id_: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of a webhook. `at`: Unix seconds."""
    digest = hmac.new(key_of(secret), f"{id_}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": id_, "webhook-timestamp": str(at), "webhook-signature": signature}


async def post(session: ClientSession, hook: Webhook, id_: str, content: Any) -> None:
    """Make one attempt; raise NotSent."""
    body = msgspec.json.encode(content)
    headers = {"Content-Type": "application/json", **signed(hook.secret, id_, int(time.time()), body)}
    try:
        async with session.post(
            hook.url, data=body, headers=headers, allow_redirects=False, timeout=ClientTimeout(SECONDS)
        ) as response:
            if 200 <= response.status < 300:
                return
            said = (await response.content.read(_ANSWER)).decode(errors="replace").strip()
            raise NotSent(f"answered {response.status} {said}".strip(), for_good=response.status == _GONE)
    except TimeoutError:
        raise NotSent(f"no answer within {SECONDS:.0f} s") from None
    except (ClientError, OSError, ValueError) as error:
        raise NotSent(str(error) or type(error).__name__) from None


class Sender:
    """Sends messages by any outlet. `publish`: to the centre's broker."""

    def __init__(self, config: Config, publish: Publish) -> None:
        self._config = config
        self._publish = publish
        self._session: ClientSession | None = None

    def missing(self, outlet: AnyOutlet) -> str:
        """Return what this centre lacks for an outlet; empty if nothing."""
        if isinstance(outlet, Mail) and not self._config.mail.host:
            return (
                "this centre sends no mail: set [mail] host and sender in aggregator.toml, then start again"
            )
        return ""

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, outlet: AnyOutlet, id_: str, content: dict[str, Any]) -> None:
        """Make one attempt to send a message (see `messages.payload`); raise NotSent."""
        if why := self.missing(outlet):
            raise NotSent(why)
        if isinstance(outlet, Webhook):
            self._session = self._session or ClientSession()
            await post(self._session, outlet, id_, content)
        elif isinstance(outlet, Mail):
            await self._mail(outlet, id_, content["data"])
        else:
            try:
                async with asyncio.timeout(SECONDS):
                    await self._publish(outlet.topic, msgspec.json.encode({"id": id_, **content}))
            except BrokerError as error:
                raise NotSent(str(error)) from None
            except TimeoutError:
                raise NotSent(f"the broker did not take it within {SECONDS:.0f} s") from None

    async def _mail(self, outlet: Mail, id_: str, data: dict[str, Any]) -> None:
        message = self._letter(outlet, id_, data)
        try:
            await asyncio.to_thread(self._hand_over, message)
        except (smtplib.SMTPException, ssl.SSLError, OSError, ConfigError) as error:
            raise NotSent(f"{type(error).__name__}: {error}"[:300]) from None

    def _letter(self, outlet: Mail, id_: str, data: dict[str, Any]) -> EmailMessage:
        message = EmailMessage()
        sender = self._config.mail.sender
        message["From"] = sender
        message["To"] = ", ".join(outlet.to)
        message["Subject"] = " ".join(data["title"].split())[:200]
        message["Message-ID"] = f"<{id_.replace(':', '.')}@{sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        link = self._config.http.origins[:1]
        where = f"\n\n{link[0]}/alerts" if link else ""
        message.set_content(f"{data['text']}{where}\n")
        return message

    def _hand_over(self, message: EmailMessage) -> None:
        """Give a letter to the server; runs in a thread."""
        mail = self._config.mail
        context = ssl.create_default_context(
            cafile=str(self._config.path(mail.ca_file)) if mail.ca_file else None
        )
        with (
            smtplib.SMTP_SSL(mail.host, mail.port, timeout=SECONDS, context=context)
            if mail.security == "tls"
            else smtplib.SMTP(mail.host, mail.port, timeout=SECONDS)
        ) as server:
            if mail.security == "starttls":
                server.starttls(context=context)
            if mail.username:
                server.login(mail.username, self._config.secret(mail.password_file))
            server.send_message(message)
