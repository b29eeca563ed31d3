"""Moto as a server process: quick, and lenient. It keeps objects in memory and checks no signatures."""

from __future__ import annotations

import sys
from pathlib import Path

from f5_pipeline_tests.support.servers.server import Process, S3Server, free_ports, own_environment


def moto(folder: Path, host: str = "127.0.0.1") -> S3Server:
    """A moto server that is not started yet; `folder` takes its log."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    return S3Server(
        name="moto",
        endpoint=f"http://{host}:{port}",
        region="us-west-004",
        key_id="0040123456789ab0000000001",
        key="K004moto-secret-of-the-tests+/x",
        strict=False,
        # Moto forgets what it holds when it ends.
        processes=[Process(command, port, folder / "moto.log", own_environment(), host=host)],
    )
