"""All files of a narration as one ZIP, made while it is sent: no temporary file, flat memory, Zip64 where needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from f5_pipeline.errors import StoreError
from f5_pipeline.gateway.delivery import BLOCK_BYTES, DeliveredFile, ObjectReader, content_disposition
from f5_pipeline.gateway.verification import Verifier

ARCHIVE = "all.zip"
"""The name of the ZIP in links; no delivered file has it."""


async def deliver_archive(
    request: Request, store: ObjectReader, files: Sequence[DeliveredFile], name: str, verifier: Verifier
) -> Response:
    """Answer a GET or HEAD for all files. They are not compressed again, so that the length is known.

    Raises:
        StoreError: a file is not what was delivered.
    """
    from zipstream import ZipStream

    for file in files:
        path = store.local_path(file.key)
        if path is not None:
            await verifier.check(path, file.size, file.sha256)
    archive = ZipStream(sized=True)
    for file in files:
        archive.add(_blocks(store, file), file.name, size=file.size)
    headers = {
        "content-length": str(len(archive)),
        "content-disposition": content_disposition(name),
        "cache-control": "no-store",
        "accept-ranges": "none",
    }
    if request.method == "HEAD":
        return Response(headers=headers, media_type="application/zip")
    return StreamingResponse(archive, headers=headers, media_type="application/zip")


def _blocks(store: ObjectReader, file: DeliveredFile) -> Iterator[bytes]:
    """A file's bytes; it is opened when its turn comes. Where it is cut, the client gets less than was announced."""
    left = file.size
    with store.open(file.key) as stream:
        while left and (block := stream.read(min(BLOCK_BYTES, left))):
            left -= len(block)
            yield block
    if left:
        raise StoreError("an object ended before its size", file=file.key)
