"""OpenStack Swift with its s3api, from Debian's packages: an S3 server that is as strict as B2.

Four processes on free ports, one replica, one device in a temporary folder. It needs a file system with user xattrs.
Source: Swift's documentation, "SAIO - Swift All In One" and "S3/Swift REST API Comparison Matrix".
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from f5_pipeline_tests.support.servers.server import Process, S3Server, free_ports, own_environment

PACKAGES = ("swift-proxy", "swift-account", "swift-container", "swift-object")
ADVICE = f"OpenStack Swift is not installed: apt-get install --no-install-recommends {' '.join(PACKAGES)}"

REGION = "eu-central-003"
ACCOUNT, USER = "studio", "pipeline"
KEY = "K003swift-secret-of-the-tests"

_STORAGE_KINDS = ("account", "container", "object")

_COMMON = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}
mount_check = false
disable_fallocate = true
db_preallocation = false
fallocate_reserve = 0
log_level = WARNING
conn_timeout = 60
node_timeout = 60
recoverable_node_timeout = 60
container_update_timeout = 60
error_suppression_limit = 1000000
"""
"""On a busy machine a server is slow, not broken: by default half a second without a connection is an error, and ten
errors make the proxy refuse everything for a minute."""

_STORAGE = """\
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""

# tempauth insists on a cache: it is one that does not listen, so that every request sees what the one before it did.
_PROXY = """\
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo versioned_writes symlink
  proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{no_port}
log_level = CRITICAL

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:bulk]
use = egg:swift#bulk

[filter:s3api]
use = egg:swift#s3api
location = {region}
max_upload_part_num = 10000

[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{name} = {key} .admin

[filter:copy]
use = egg:swift#copy

[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true

[filter:symlink]
use = egg:swift#symlink
"""


def missing(folder: Path) -> str | None:
    """Why Swift cannot run with its data in `folder`; None where it can."""
    if not all(shutil.which(f"swift-{kind}-server") for kind in ("proxy", *_STORAGE_KINDS)):
        return ADVICE
    try:
        os.setxattr(folder, "user.swift.metadata", b"1")
    except OSError:
        return f"OpenStack Swift needs user xattrs, which the file system of {folder} lacks: pass --basetemp elsewhere"
    return None


def swift(folder: Path) -> S3Server:
    """A Swift that is not started yet, with its configuration, rings and data in `folder`."""
    kinds = ("proxy", *_STORAGE_KINDS)
    no_port, *free = free_ports(1 + len(kinds))
    ports = dict(zip(kinds, free, strict=True))
    (folder / "disk").mkdir()
    _make_rings(folder, {kind: ports[kind] for kind in _STORAGE_KINDS})
    facts = {
        "folder": folder,
        "no_port": no_port,
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "region": REGION,
        "account": ACCOUNT,
        "name": USER,
        "key": KEY,
    }
    processes = []
    for kind in (*_STORAGE_KINDS, "proxy"):
        text = _COMMON + (_PROXY if kind == "proxy" else _STORAGE)
        conf = folder / f"{kind}-server.conf"
        conf.write_text(text.format(kind=kind, port=ports[kind], **facts))
        command = [f"swift-{kind}-server", str(conf), "--verbose"]
        processes.append(Process(command, ports[kind], folder / f"{kind}.log", own_environment()))
    return S3Server(
        name="swift",
        endpoint=f"http://127.0.0.1:{ports['proxy']}",
        region=REGION,
        key_id=f"{ACCOUNT}:{USER}",
        key=KEY,
        strict=True,
        processes=processes,
    )


def _make_rings(folder: Path, ports: dict[str, int]) -> None:
    """Where everything of a kind is: four partitions, one replica, one device."""
    code = (
        "import sys; from swift.common.ring import RingBuilder\n"
        "for kind, port in zip(sys.argv[2::2], sys.argv[3::2]):\n"
        "    builder = RingBuilder(2, 1, 1)\n"
        "    builder.add_dev(dict(region=1, zone=1, ip='127.0.0.1', port=int(port), device='disk', weight=1))\n"
        "    builder.rebalance()\n"
        "    builder.get_ring().save(f'{sys.argv[1]}/{kind}.ring.gz')\n"
    )
    named = [text for kind, port in ports.items() for text in (kind, str(port))]
    # The system's Python is the one that has Swift; swift-ring-builder would need nine starts of it.
    subprocess.run(["/usr/bin/python3", "-c", code, str(folder), *named], env=own_environment(), check=True)
