"""A stream under a passphrase: what is written cannot be read, changed, shortened or reordered unnoticed.

The key is made of the passphrase by scrypt (RFC 7914). The stream is cut into chunks, each sealed by
AES-256-GCM; a chunk's nonce holds its number and whether it is the last one (the STREAM construction of
Hoang, Reyhanitabar, Rogaway and Vizár, 2015), and the head is authenticated with each.

    head    magic 16 | format 1 | log2(n) 1 | salt 16 | check 16 | nonce prefix 7
    chunk   up to 1 MiB, and 16 bytes of tag

`check` is made by scrypt along with the key, so a wrong passphrase is told from a damaged file.
"""

from __future__ import annotations

import hmac
import io
import os
import struct
from typing import IO, TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from aggregator.backup.errors import BackupError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MAGIC = b"GB-FLEET BACKUP\n"
FORMAT = 1
CHUNK = 1024 * 1024
_TAG = 16
_LOG_N = 16  # 64 MiB of memory and a quarter of a second for each guess
_MOST_LOG_N = 20
_HEAD = struct.Struct(">16sBB16s16s7s")


def _keys(passphrase: str, salt: bytes, log_n: int) -> tuple[bytes, bytes]:
    """Return the key and what shows that the passphrase is right."""
    made = Scrypt(salt=salt, length=48, n=1 << log_n, r=8, p=1).derive(passphrase.encode())
    return made[:32], made[32:]


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, last)


class Sealer(io.RawIOBase):
    """A file to write to; `close` writes the last chunk and leaves `target` open."""

    def __init__(self, target: IO[bytes], passphrase: str) -> None:
        salt = os.urandom(16)
        self._prefix = os.urandom(7)
        key, check = _keys(passphrase, salt, _LOG_N)
        self._cipher = AESGCM(key)
        self._target = target
        self._head = _HEAD.pack(MAGIC, FORMAT, _LOG_N, salt, check, self._prefix)
        self._waiting = bytearray()
        self._number = 0
        target.write(self._head)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Take bytes; whole chunks go out."""
        view = memoryview(data)
        self._waiting += view
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), False)
            del self._waiting[:CHUNK]
        return view.nbytes

    def close(self) -> None:
        """Write what is left as the last chunk."""
        if not self.closed:
            self._seal(bytes(self._waiting), True)
            super().close()

    def _seal(self, chunk: bytes, last: bool) -> None:
        self._target.write(self._cipher.encrypt(_nonce(self._prefix, self._number, last), chunk, self._head))
        self._number += 1


class Opener(io.RawIOBase):
    """A sealed file to read from; raise BackupError for a wrong passphrase and for what is not whole."""

    def __init__(self, source: IO[bytes], passphrase: str) -> None:
        self._source = source
        self._head = _exactly(source, _HEAD.size)
        if len(self._head) < _HEAD.size or not self._head.startswith(MAGIC):
            raise BackupError("this is no backup of `gb-aggregator backup`")
        _, form, log_n, salt, check, self._prefix = _HEAD.unpack(self._head)
        if form > FORMAT or not 1 <= log_n <= _MOST_LOG_N:
            raise BackupError(
                f"the backup was written by a newer version (format {form}, this one knows {FORMAT}): upgrade"
            )
        key, shown = _keys(passphrase, salt, log_n)
        if not hmac.compare_digest(shown, check):
            raise BackupError("the passphrase is not the one that this backup was made with")
        self._cipher = AESGCM(key)
        self._next = _exactly(source, CHUNK + _TAG)
        self._number = 0
        self._waiting = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, target: WriteableBuffer) -> int:
        """Fill a buffer; return how much, 0 at the end."""
        view = memoryview(target).cast("B")
        while not self._waiting and not self._ended:
            self._waiting = memoryview(self._open())
        amount = min(len(view), len(self._waiting))
        view[:amount] = self._waiting[:amount]
        self._waiting = self._waiting[amount:]
        return amount

    def _open(self) -> bytes:
        chunk = self._next
        self._next = _exactly(self._source, CHUNK + _TAG)
        last = not self._next
        try:
            opened = self._decrypt(chunk, last)
        except InvalidTag:
            raise BackupError(self._damage(chunk, last)) from None
        self._number += 1
        self._ended = last
        return opened

    def _decrypt(self, chunk: bytes, last: bool) -> bytes:
        return self._cipher.decrypt(_nonce(self._prefix, self._number, last), chunk, self._head)

    def _damage(self, chunk: bytes, last: bool) -> str:
        """Say what is wrong with a chunk that does not open."""
        where = f"at byte {_HEAD.size + self._number * (CHUNK + _TAG)}"
        short = len(chunk) < CHUNK + _TAG
        if last and not short:
            try:
                self._decrypt(chunk, False)
            except InvalidTag:
                short = False
            else:
                short = True
        if short:
            return f"the backup is cut off or damaged {where}: take another copy of the file"
        return f"the backup is damaged {where}: take another copy of the file"


def _exactly(source: IO[bytes], size: int) -> bytes:
    """Read so many bytes, fewer only at the end."""
    parts = []
    while size > 0 and (part := source.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
