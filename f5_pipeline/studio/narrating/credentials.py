"""Content Credentials: C2PA manifests in delivered audio files, signed with the installation's certificate.

A manifest says in a way that readers can check that the file is synthetic speech, made by this installation, and not
changed since. It needs the package c2pa-python (extra `c2pa`). Nothing is asked of the network: there is no time stamp.
Source: C2PA technical specification 2.2; IPTC NewsCodes, "Digital Source Type".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from f5_pipeline import __version__
from f5_pipeline.errors import InputError
from f5_pipeline.studio.records import Plan
from f5_pipeline.system.hashing import file_sha256
from f5_pipeline.system.reading import read_file

MEDIA_TYPES = {".mp3": "audio/mpeg", ".wav": "audio/wav", ".m4a": "audio/mp4", ".m4b": "audio/mp4"}
"""Files that hold a manifest."""

_MAX_PEM_BYTES = 1 << 20


@dataclass(frozen=True)
class Credentials:
    """The certificate with its chain and its private key, in PEM; see `open_signer` for what they must be."""

    certificate: Path
    key: Path

    @property
    def digest(self) -> str:
        """sha256 of the certificates, hex."""
        return file_sha256(self.certificate)


def credentials_of(certificate: Path | None, key: Path | None) -> Credentials | None:
    """What files are signed with; None where neither is given. Raises InputError where it cannot be used."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "F5_C2PA_KEY" if key is None else "F5_C2PA_CERTIFICATE"
        raise InputError(f"{missing} is not set", file="environment", hint="Set both, or neither.")
    credentials = Credentials(certificate, key)
    open_signer(credentials)
    return credentials


def open_signer(credentials: Credentials) -> Any:
    """The signer of a certificate.

    Raises:
        InputError: the package is missing, or certificate or key is unusable: it takes a certificate for digital
            signatures (keyUsage) of e-mail or documents (extendedKeyUsage), followed by its issuers.
    """
    if find_spec("c2pa") is None:
        raise InputError(
            "Content Credentials need the package c2pa-python",
            file="F5_C2PA_CERTIFICATE",
            hint="pip install 'f5-pipeline[c2pa]'.",
        )
    import c2pa  # type: ignore[import-not-found]

    chain, key = (read_file(path, limit=_MAX_PEM_BYTES) for path in (credentials.certificate, credentials.key))
    try:
        info = c2pa.C2paSignerInfo(alg=_algorithm(chain, key), sign_cert=chain, private_key=key, ta_url=None)
        return c2pa.Signer.from_info(info)
    except (c2pa.C2paError, ValueError, TypeError) as error:
        raise InputError(
            f"it signs nothing ({error})",
            file=str(credentials.certificate),
            hint="Give a certificate chain and its private key, unencrypted, in PEM.",
        ) from None


def _algorithm(chain: bytes, key: bytes) -> bytes:
    """The name of the signature algorithm for a private key. Raises ValueError or TypeError where it is unusable."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    own = load_pem_x509_certificates(chain)[0]
    try:
        private = load_pem_private_key(key, None)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    if private.public_key() != own.public_key():
        raise ValueError("the key is not that of the first certificate")
    if own.not_valid_after_utc < datetime.now(timezone.utc):
        raise ValueError(f"it has expired on {own.not_valid_after_utc:%Y-%m-%d}")
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.key_size in (256, 384, 521):
        return {256: b"es256", 384: b"es384", 521: b"es512"}[private.key_size]
    if isinstance(private, rsa.RSAPrivateKey):
        return b"ps256"
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    raise ValueError("a key of a kind that C2PA does not know")


def sign_file(path: Path, signer: Any, plan: Plan) -> None:
    """Put a signed manifest into a file of `MEDIA_TYPES`; leaves others as they are.

    Raises:
        InputError: the certificate signs no file, as where it is expired.
    """
    import c2pa  # type: ignore[import-not-found]

    media_type = MEDIA_TYPES.get(path.suffix)
    if media_type is None:
        return
    signed = path.with_name(f"signed-{path.name}")
    try:
        with path.open("rb") as source, signed.open("w+b") as out, c2pa.Builder(json.dumps(_manifest(plan))) as builder:
            builder.sign(signer, media_type, source, out)
    except c2pa.C2paError as error:
        hint = "See that the certificate is valid and for signing."
        raise InputError(f"Content Credentials cannot be signed ({error})", file=path.name, hint=hint) from None
    signed.replace(path)


def digital_source_type(plan: Plan) -> str:
    """What kind of media it is (IPTC): by a trained model, or by rules."""
    source = "trainedAlgorithmicMedia" if plan.references and plan.weights.model else "algorithmicMedia"
    return f"http://cv.iptc.org/newscodes/digitalsourcetype/{source}"


def _manifest(plan: Plan) -> dict[str, Any]:
    engine = {"name": plan.weights.name, "version": plan.weights.version}
    created = {"action": "c2pa.created", "digitalSourceType": digital_source_type(plan), "softwareAgent": engine}
    return {
        "claim_generator_info": [{"name": "f5_pipeline", "version": __version__}],
        "title": plan.title,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }
