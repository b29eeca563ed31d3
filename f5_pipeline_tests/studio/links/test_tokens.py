from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import string
import subprocess
import sys
import traceback
from datetime import timedelta

import pytest
from itsdangerous import Signer
from itsdangerous.encoding import base64_encode

from f5_pipeline.errors import InputError
from f5_pipeline.studio.links.tokens import (
    BadLink,
    ExpiredLink,
    LinkSigner,
    OutdatedLink,
    file_url,
    load_secret,
    new_grant,
    page_url,
)

NOW = 1_800_000_000.0
OLD = "the-old-secret-which-is-long-enough-too"
KEY = "the-newest-secret-which-is-long-enough."


@pytest.fixture
def signer() -> LinkSigner:
    return LinkSigner([KEY])


def test_a_token_says_what_was_signed(signer):
    grant = new_grant()
    token = signer.sign("Bücher-eins", "r1", "a b.mp3", grant=grant, now=NOW)
    claim = signer.verify(token, NOW)
    assert (claim.narration, claim.revision, claim.file) == ("Bücher-eins", "r1", "a b.mp3")
    assert claim.grant == grant and claim.version == 2
    assert claim.expires == NOW + 7 * 86400
    assert claim.covers("a b.mp3") and not claim.covers("other.mp3") and not claim.everything


def test_everything_covers_every_file(signer):
    claim = signer.verify(signer.sign("n", "r", now=NOW), NOW)
    assert claim.everything and claim.covers("any.mp3")


def test_the_token_of_an_address_is_the_same_for_the_same_grant_and_key(signer):
    grant = new_grant()
    token = signer.sign_address("Bücher-eins", grant)
    assert token == LinkSigner([KEY, OLD]).sign_address("Bücher-eins", grant)
    assert token != signer.sign_address("Bücher-eins", new_grant()) != LinkSigner([OLD]).sign_address("n", grant)
    claim = signer.verify(token, NOW + 1e9)
    assert (claim.narration, claim.grant, claim.revision, claim.expires) == ("Bücher-eins", grant, None, None)
    assert claim.everything
    with pytest.raises(BadLink):
        LinkSigner([OLD]).verify(token, NOW)
    with pytest.raises(InputError, match="cannot be the narration"):
        signer.sign_address("a/b", grant)


def test_it_is_good_until_its_last_second_and_expired_from_then_on(signer):
    token = signer.sign("n", "r", lifetime=timedelta(seconds=60), now=NOW)
    assert signer.verify(token, NOW + 59.999)
    with pytest.raises(ExpiredLink) as error:
        signer.verify(token, NOW + 60)
    assert error.value.claim is not None and error.value.claim.narration == "n"


def test_no_altered_token_is_good(signer):
    """Also not where the base64 decoder sees no change: spare bits of the last character, foreign characters."""
    token = signer.sign("n", "r", now=NOW)
    alphabet = string.ascii_letters + string.digits + "-_.=+/ %"
    for place in range(len(token)):
        changes = alphabet if place >= len(token) - 2 else [c for c in "AQ.é\0" if c != token[place]]
        for other in changes:
            if other == token[place]:
                continue
            with pytest.raises(BadLink):
                signer.verify(token[:place] + other + token[place + 1 :], NOW)
        with pytest.raises(BadLink):
            signer.verify(token[:place] + token[place + 1 :], NOW)
        with pytest.raises(BadLink):
            signer.verify(token[:place] + "!" + token[place:], NOW)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "x" * 100, "." * 2000, "x" * 10_000_000, "é" * 40, "\0", "eyJ9.eyJ9.eyJ9", "\ud800"]
)
def test_nonsense_is_not_a_link(signer, token):
    with pytest.raises(BadLink):
        signer.verify(token, NOW)


def test_an_expired_token_of_another_key_is_forged_not_expired(signer):
    token = LinkSigner([OLD]).sign("n", "r", lifetime=timedelta(seconds=1), now=NOW)
    with pytest.raises(BadLink):
        signer.verify(token, NOW + 100)


def test_after_a_rotation_old_links_live_and_new_ones_need_the_new_key():
    before, both, after = LinkSigner([OLD]), LinkSigner([KEY, OLD]), LinkSigner([KEY])
    old_token, new_token = before.sign("n", "r", now=NOW), both.sign("n", "r", now=NOW)
    assert both.verify(old_token, NOW) and both.verify(new_token, NOW) and after.verify(new_token, NOW)
    with pytest.raises(BadLink):
        before.verify(new_token, NOW)
    with pytest.raises(BadLink):
        after.verify(old_token, NOW)


def resigned(payload: object, salt: str = "f5-pipeline.gateway.link") -> str:
    """A payload signed with the right key."""
    signer = Signer([KEY], salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
    return signer.sign(base64_encode(json.dumps(payload))).decode()


PAYLOAD = [2, "grant-id", "n", "r", "*", int(NOW) + 60]


def test_the_key_alone_is_not_enough_the_use_is_part_of_it(signer):
    """Another use of the same secret makes no links."""
    assert signer.verify(resigned(PAYLOAD), NOW)
    with pytest.raises(BadLink):
        signer.verify(resigned(PAYLOAD, salt="another"), NOW)


@pytest.mark.parametrize(
    "payload",
    [
        [1, *PAYLOAD[1:]],  # of which there were no records
        [3, *PAYLOAD[1:]],
        ["2", *PAYLOAD[1:]],
        [*PAYLOAD, {"password": True}],
        PAYLOAD[:-1],
        [*PAYLOAD[:-1], "1900000000"],
        [*PAYLOAD[:-1], float("inf")],
        [*PAYLOAD[:-1], -1],
        [*PAYLOAD[:4], None, PAYLOAD[5]],
        [*PAYLOAD[:5], None],  # a revision for ever
        [*PAYLOAD[:3], None, *PAYLOAD[4:]],
        [*PAYLOAD[:3], None, "a.mp3", None],
        [2, "short", *PAYLOAD[2:]],
        [*PAYLOAD[:2], "", *PAYLOAD[3:]],
        None,
        [],
        "text",
        7,
        {},
    ],
)
def test_what_a_later_version_signs_is_refused(signer, payload):
    with pytest.raises(BadLink):
        signer.verify(resigned(payload), NOW)


def test_a_link_of_the_first_version_is_known_as_such(signer):
    for payload in ([1, *PAYLOAD[1:]], [1, *PAYLOAD[1:5], 7]):  # expired or not
        with pytest.raises(OutdatedLink, match="earlier version"):
            signer.verify(resigned(payload), NOW)
    for payload in ([3, *PAYLOAD[1:]], [1], [1, *PAYLOAD]):
        with pytest.raises(BadLink) as refusal:
            signer.verify(resigned(payload), NOW)
        assert not isinstance(refusal.value, OutdatedLink), payload
    with pytest.raises(BadLink, match="signature"):
        signer.verify(resigned([1, *PAYLOAD[1:]])[:-1], NOW)


def test_a_signed_payload_that_is_no_json_is_refused(signer):
    raw = Signer([KEY], salt="f5-pipeline.gateway.link", key_derivation="hmac", digest_method=hashlib.sha256)
    for payload in (b"", b"!", b"_w", base64_encode(b"[")):
        with pytest.raises(BadLink):
            signer.verify(raw.sign(payload).decode(), NOW)


def test_a_token_fits_where_hidden_files_are_refused(signer):
    assert all(not signer.sign("n" * 200, "r" * 64, now=NOW).startswith(".") for _ in range(20))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "..\\b", "/etc/passwd", "a\0b", "a\r\nSet-Cookie: x", "\x7f"])
def test_names_that_cannot_stand_in_a_link_are_not_signed(signer, name):
    for names in ((name, "r", "f"), ("n", name, "f"), ("n", "r", name)):
        with pytest.raises(InputError):
            signer.sign(*names, now=NOW)


def test_names_too_long_for_a_url_are_not_signed(signer):
    with pytest.raises(InputError, match="too long"):
        signer.sign("旅" * 2000, "r", now=NOW)
    with pytest.raises(InputError, match="narration is not valid"):
        signer.sign("lone\ud800", "r", now=NOW)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1), timedelta(days=31)])
def test_a_lifetime_out_of_bounds_is_refused(lifetime):
    signer = LinkSigner([KEY], lifetime=timedelta(days=1), max_lifetime=timedelta(days=30))
    with pytest.raises(InputError):
        signer.sign("n", "r", lifetime=lifetime, now=NOW)


@pytest.mark.parametrize(
    "options",
    [
        {"max_lifetime": timedelta(days=366)},
        {"max_lifetime": timedelta(0)},
        {"lifetime": timedelta(days=8), "max_lifetime": timedelta(days=7)},
        {"lifetime": timedelta(0)},
    ],
)
def test_bounds_are_checked_at_the_start(options):
    with pytest.raises(InputError):
        LinkSigner([KEY], **options)


def test_a_bad_grant_id_is_not_signed(signer):
    with pytest.raises(InputError, match="grant"):
        signer.sign("n", "r", grant="a b", now=NOW)


def test_keys_are_never_shown():
    short = "too-short-secret"
    shown = repr(LinkSigner([KEY])) + str(vars(LinkSigner([KEY])))
    for keys in ([short], [KEY, short], []):
        with pytest.raises(InputError) as error:
            LinkSigner(keys)
        shown += str(error.value) + repr(error.value) + "".join(traceback.format_exception(error.value))
    assert KEY not in shown and short not in shown.replace(f'short = "{short}"', "")
    with pytest.raises(TypeError):
        pickle.dumps(LinkSigner([KEY]))
    with pytest.raises(TypeError):
        LinkSigner(KEY)


def test_urls_hold_no_raw_names():
    assert file_url("https://h/x/", "t", "ä b?#%/../c.mp3") == "https://h/x/d/t/%C3%A4%20b%3F%23%25%2F..%2Fc.mp3"
    assert page_url("https://h", "t") == "https://h/n/t/"


# The secret's file


def test_the_environment_goes_first_and_may_hold_several(tmp_path):
    path = tmp_path / "secret"
    assert load_secret(path, f" {KEY} , {OLD},") == [KEY, OLD]
    assert not path.exists()


@pytest.mark.parametrize("value", ["short", f"{KEY},short", ",", " , "])
def test_a_weak_environment_value_is_refused_unseen(tmp_path, value):
    with pytest.raises(InputError) as error:
        load_secret(tmp_path / "secret", value, env_name="MY_SECRET")
    assert "MY_SECRET" in str(error.value) and "secrets.token_urlsafe" in str(error.value)
    assert "short," not in str(error.value) and KEY not in str(error.value)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_one_a_secret_is_drawn_once_and_kept_private(tmp_path, value):
    path = tmp_path / "deep" / "secret"
    first = load_secret(path, value)
    assert load_secret(path, value) == first and len(first) == 1 and len(first[0]) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret"]


def test_a_file_may_hold_several(tmp_path):
    path = tmp_path / "secret"
    path.write_text(f"{KEY}\n\n  {OLD}\n")
    path.chmod(0o400)
    assert load_secret(path, None) == [KEY, OLD]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o660, 0o644, 0o777])
def test_a_file_open_to_others_is_refused(tmp_path, mode):
    path = tmp_path / "secret"
    path.write_text(KEY)
    path.chmod(mode)
    with pytest.raises(InputError, match="open to other users") as error:
        load_secret(path, None)
    assert KEY not in str(error.value) and "chmod 600" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"tooshort\n", b"\xff\xfe\x00\x01" * 20])
def test_a_broken_file_is_not_replaced_in_silence(tmp_path, content):
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InputError, match="secret"):
        load_secret(path, None)
    assert path.read_bytes() == content


def test_a_folder_or_a_file_in_the_way_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_secret(tmp_path, None)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be (read|stored)"):
        load_secret(tmp_path / "file" / "secret", None)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to become another user")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "secret"
    load_secret(path, None)
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        if stat.S_IMODE(folder.stat().st_mode) & 0o005 != 0o005:
            if folder != tmp_path and not str(folder).startswith(str(tmp_path.parents[2])):
                pytest.skip("the folder of the tests is closed to other users")
            folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            load_secret(path, None)
        except InputError as error:
            os._exit(0 if "Permission denied" in str(error) else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_processes_that_start_at_once_agree(tmp_path):
    path = tmp_path / "secret"
    code = (
        "import sys\nfrom pathlib import Path\nfrom f5_pipeline.studio.links.tokens import load_secret\n"
        "sys.stdin.read(1)\nprint(load_secret(Path(sys.argv[1]), None)[0])"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(5)
    ]
    for child in children:
        assert child.stdin
        child.stdin.write("g")
        child.stdin.flush()
    found = {child.communicate()[0].strip() for child in children}
    assert found == {load_secret(path, None)[0]}
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]
