"""Content Credentials in delivered files, read back by the reader of c2pa-python."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from f5_pipeline.errors import InputError
from f5_pipeline.studio.narrating import credentials as credentials_module
from f5_pipeline.studio.narrating.credentials import (
    MEDIA_TYPES,
    Credentials,
    credentials_of,
    digital_source_type,
    open_signer,
)
from f5_pipeline.studio.narrating.production import make_audio
from f5_pipeline.studio.records import Audio, Plan
from f5_pipeline_tests.support.small_studio import Studio, levels

pytestmark = pytest.mark.slow


def certificate(folder: Path, *, days: int = 30) -> Credentials:
    """A certificate of a test, with that of its issuer, and its key."""
    now = datetime.now(timezone.utc)
    issuer_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def name(text: str) -> x509.Name:
        words = ((NameOID.ORGANIZATION_NAME, "A test"), (NameOID.COMMON_NAME, text))
        return x509.Name([x509.NameAttribute(place, word) for place, word in words])

    def build(subject: str, own: ec.EllipticCurvePrivateKey, *, issues: bool) -> x509.Certificate:
        others = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False,
        )  # fmt: skip
        usage = x509.KeyUsage(digital_signature=True, key_cert_sign=issues, crl_sign=issues, **others)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("issuer"))
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(issues, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if not issues:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    chain = [build("this installation", key, issues=False), build("issuer", issuer_key, issues=True)]
    made = Credentials(folder / "chain.pem", folder / "key.pem")
    made.certificate.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
    made.key.write_bytes(pem(key))
    return made


def pem(key: Any) -> bytes:
    no_password = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)


def produce(studio: Studio, plan: Plan, credentials: Credentials | None) -> Audio:
    return make_audio(studio.store, plan, studio.takes(plan), credentials=credentials, **levels())


def read(path: Path) -> dict[str, Any]:
    c2pa = pytest.importorskip("c2pa")
    with path.open("rb") as source:
        return json.loads(c2pa.Reader(MEDIA_TYPES[path.suffix], source).json())


def test_files_say_that_they_are_synthetic_and_by_whom(studio: Studio, tmp_path: Path):
    pytest.importorskip("c2pa")
    import mutagen

    credentials = certificate(tmp_path)
    plan = studio.plan(
        "# One\n\nThe lamp was lit.\n\n# Two\n\nNobody saw it.", "story.md", formats=["mp3", "wav", "m4b"]
    )
    audio, plain = produce(studio, plan, credentials), produce(studio, plan, None)
    assert audio.revision != plain.revision, "another revision: delivered files never change"
    files = [pair for pair in zip(audio.files, plain.files, strict=True) if not pair[0].name.endswith(".jpg")]
    assert len(files) == 3
    for file, unsigned in files:
        path, before = studio.store.local_path(file.key), studio.store.local_path(unsigned.key)
        assert path and before
        found = read(path)
        assert found["validation_state"] == "Valid"
        assert {one["code"] for one in found.get("validation_status", [])} <= {"signingCredential.untrusted"}
        manifest = found["manifests"][found["active_manifest"]]
        assert manifest["signature_info"]["common_name"] == "this installation"
        (said,) = (one["data"] for one in manifest["assertions"] if one["label"].startswith("c2pa.actions"))
        kind = said["actions"][0]["digitalSourceType"]
        assert kind.endswith("/algorithmicMedia"), "the draft voice is not a trained one"
        signed, plain_tags = mutagen.File(path), mutagen.File(before)  # type: ignore[attr-defined]
        assert signed is not None and plain_tags is not None
        assert set(plain_tags.tags) <= set(signed.tags) and signed.info.length == plain_tags.info.length
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        changed = tmp_path / path.name
        changed.write_bytes(data)
        assert read(changed)["validation_state"] == "Invalid"
    assert produce(studio, plan, credentials) == audio, "it is not signed anew"


def test_what_holds_no_manifest_is_as_before(studio: Studio, tmp_path: Path):
    pytest.importorskip("c2pa")
    plan = studio.plan("The lamp was lit.", formats=["flac"])
    signed = produce(studio, plan, certificate(tmp_path))
    assert signed == produce(studio, plan, None)


def test_cloned_speech_is_of_a_trained_model(studio: Studio):
    plan = studio.plan("The lamp was lit.")
    weights = plan.weights.model_copy(update={"model": "F5TTS_v1_Base"})
    cloned = plan.model_copy(update={"references": {"ada": "0" * 64}, "weights": weights})
    assert digital_source_type(cloned).endswith("/trainedAlgorithmicMedia")


def test_what_signs_nothing_is_told_before_anything_is_made(studio: Studio, tmp_path: Path, monkeypatch):
    good = certificate(tmp_path)
    assert credentials_of(None, None) is None
    with pytest.raises(InputError, match="F5_C2PA_KEY is not set"):
        credentials_of(good.certificate, None)
    with monkeypatch.context() as patch:
        patch.setattr(credentials_module, "find_spec", lambda name: None)
        with pytest.raises(InputError, match=r"f5-pipeline\[c2pa\]"):
            credentials_of(good.certificate, good.key)
    pytest.importorskip("c2pa")
    assert credentials_of(good.certificate, good.key) == good
    with pytest.raises(InputError, match="cannot be read"):
        credentials_of(good.certificate, tmp_path / "nothing.pem")
    for name, content in (("text.pem", b"no key"), ("other.pem", pem(ed25519.Ed25519PrivateKey.generate()))):
        (tmp_path / name).write_bytes(content)
        for chain in (good.certificate, tmp_path / "text.pem"):
            with pytest.raises(InputError, match="signs nothing"):
                open_signer(Credentials(chain, tmp_path / name))
    plan = studio.plan("The lamp was lit.", formats=["mp3"])
    takes, before = studio.takes(plan), {stat.key for stat in studio.store.list("narrations/")}
    with pytest.raises(InputError, match="it has expired"):
        make_audio(studio.store, plan, takes, credentials=certificate(tmp_path, days=-1), **levels())
    new = {stat.key for stat in studio.store.list("narrations/")} - before
    assert not [key for key in new if key.endswith((".mp3", ".json"))]
