"""What tests know of an S3 server on this machine, and how its processes are started and ended."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from f5_pipeline_tests.support.waiting import HANG_SECONDS

_STOP_SECONDS = 10


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass
class Process:
    """A server process that ends with the process of the test, even where that is killed."""

    command: Sequence[str]
    port: int
    log: Path
    env: Mapping[str, str]
    running: subprocess.Popen | None = None
    host: str = "127.0.0.1"

    def start(self) -> None:
        # A test run that is killed must leave no servers behind.
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [*tied, *self.command],
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it takes connections."""
        limit = time.monotonic() + HANG_SECONDS
        while True:
            assert self.running is not None
            if (code := self.running.poll()) is not None or time.monotonic() > limit:
                told = self.log.read_text(errors="replace")[-4000:]
                raise RuntimeError(
                    f"{self.command[0]} ended with {code} or did not listen in {HANG_SECONDS} s:\n{told}"
                )
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.running is None:
            return
        self.running.send_signal(number)
        try:
            self.running.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
        self.running = None


def own_environment() -> dict[str, str]:
    """The environment without what leads another interpreter, or the AWS libraries, astray."""
    led = ("PYTHON", "VIRTUAL_ENV", "AWS_", "F5_", "DAGSTER_", "B2_")
    return {name: value for name, value in os.environ.items() if not name.startswith(led)}


@dataclass
class S3Server:
    """An S3 server and one key that may do everything.

    Attributes:
        name: "moto" or "swift".
        endpoint: http://<host>:<port>.
        region: that requests must be signed for.
        key_id: of the key.
        key: its secret.
        strict: whether it refuses wrong secrets, wrong regions, expired links and conditional puts, as B2 does.
        processes: what it runs as, in order of their start.
    """

    name: str
    endpoint: str
    region: str
    key_id: str
    key: str = field(repr=False)
    strict: bool
    processes: Sequence[Process] = field(repr=False)

    def start(self) -> None:
        """Start, or start again with the same objects where it keeps them on disk; returns when it can be used."""
        for process in self.processes:
            process.start()
        for process in self.processes:
            process.wait()

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()

    def client(self, **changed: Any) -> Any:
        """A boto3 client for a test's own use: signature v4, paths, no checksums, few retries.

        Args:
            changed: arguments of boto3's client that are other ones; `config` is merged.
        """
        from boto3.session import Session
        from botocore.config import Config

        plain = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 2},
        )
        arguments: dict[str, Any] = {
            "endpoint_url": self.endpoint,
            "region_name": self.region,
            "aws_access_key_id": self.key_id,
            "aws_secret_access_key": self.key,
            **changed,
            "config": plain.merge(changed["config"]) if "config" in changed else plain,
        }
        return Session().client("s3", **arguments)

    def settings(self, bucket: str) -> dict[str, str]:
        """The environment of a machine whose store is in a bucket."""
        return {
            "F5_STORE": f"s3://{bucket}/studio",
            "F5_STORE_KEY_ID": self.key_id,
            "F5_STORE_KEY": self.key,
            "F5_STORE_ENDPOINT": self.endpoint,
            "F5_STORE_REGION": self.region,
        }

    def make_bucket(self, name: str, versioned: bool = False) -> str:
        """A bucket of this name; `versioned` as every bucket of B2 is."""
        client = self.client()
        # us-east-1 is the region that S3 knows no name for.
        where = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        client.create_bucket(Bucket=name, **where)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def keys(self, bucket: str) -> list[str]:
        """Every key of a bucket, asked of the server plainly."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]
