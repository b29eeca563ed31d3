"""botocore's parser of answers, with a shorter way for the long ones: listings.

botocore takes an entry of a listing apart by its model of the service, 0.1 ms for each. A look at thousands of
narrations is some ten thousand entries.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from botocore.parsers import ResponseParserFactory, RestXMLParser
from botocore.utils import parse_timestamp


def parse_time(value: Any) -> datetime:
    """A time in a response. botocore's own way guesses the format, for most of the time that a listing takes."""
    try:
        time = datetime.fromisoformat(str(value).replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except ValueError:
        return parse_timestamp(value)
    return time if time.tzinfo else parse_timestamp(value)


class ListingParser(RestXMLParser):
    """Of the entries of ListObjectsV2, only what `S3Store.list` reads; all else as botocore does it."""

    def _handle_list(self, shape: Any, node: Any) -> Any:
        if shape.name != "ObjectList":
            return super()._handle_list(shape, node)
        return [_entry(item) for item in (node if isinstance(node, list) else [node])]


def _entry(node: Any) -> dict[str, Any]:
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in node}
    return {
        "Key": texts["Key"],
        "Size": int(texts["Size"]),
        "LastModified": parse_time(texts["LastModified"]),
        "ETag": texts.get("ETag", ""),
    }


class ParserFactory(ResponseParserFactory):
    """Makes the parsers of a client."""

    def create_parser(self, protocol_name: str) -> Any:
        if protocol_name == "rest-xml":
            return ListingParser(timestamp_parser=parse_time)
        return super().create_parser(protocol_name)
