"""The centre's own authority and the broker's certificate.

What always holds: the authority signs the broker's certificate and nothing else; boxes pin it by its
fingerprint. Certificates are valid from 2015 on, because a box without a clock battery wakes up in the past.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID_FROM = datetime(2015, 1, 1, tzinfo=UTC)
_CA_DAYS = 30 * 365
_SERVER_DAYS = 10 * 365
_RENEW_DAYS = 365


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of a certificate as hexadecimal digits."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def names_in(pem: bytes) -> set[str]:
    """Return the names that a server certificate is good for."""
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def ends_soon(pem: bytes) -> bool:
    """True if a certificate has less than a year left."""
    left = x509.load_pem_x509_certificate(pem).not_valid_after_utc - datetime.now(UTC)
    return left < timedelta(days=_RENEW_DAYS)


def make_authority() -> tuple[bytes, bytes]:
    """Return a new authority: key and certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"GB-Fleet centre {secrets.token_hex(4)}")
    built = (
        _builder(name, name, key, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
    )
    return _key_pem(key), _pem(built.sign(key, hashes.SHA256()))


def make_server(ca_key: bytes, ca: bytes, names: Sequence[str]) -> tuple[bytes, bytes]:
    """Return the broker's key and its chain. The authority is in the chain: a joining box looks at it."""
    signer = serialization.load_pem_private_key(ca_key, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic curve key")
    authority = x509.load_pem_x509_certificate(ca)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    built = (
        _builder(_name("GB-Fleet broker"), authority.subject, key, _SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
    )
    return _key_pem(key), _pem(built.sign(signer, hashes.SHA256())) + ca


def alternative(name: str) -> x509.GeneralName:
    """Return the form in which a certificate names a host; raise ValueError if it is none."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(datetime.now(UTC) + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
