"""Listings are read as botocore reads them."""

from __future__ import annotations

import pytest
from botocore.parsers import RestXMLParser
from botocore.session import get_session

from f5_pipeline.store.s3.parser import ListingParser, parse_time

MODEL = get_session().get_service_model("s3")
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def entry(key: str, time: str = "2026-01-02T03:04:05.678Z", more: str = "<ETag>&quot;abc&quot;</ETag>") -> str:
    return f"<Contents><Key>{key}</Key><LastModified>{time}</LastModified><Size>12</Size>{more}</Contents>"


@pytest.mark.parametrize("namespace", ["", NAMESPACE])
@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry("one")],
        [entry("two"), entry("a%20b/&lt;&amp;&gt;", "2026-01-02T03:04:05+02:00")],
        [entry("three", "Fri, 02 Jan 2026 03:04:05 GMT", "<ETag>x</ETag><Owner><ID>us</ID></Owner>")],
    ],
    ids=["empty", "one", "two", "more of each"],
)
def test_a_listing_is_what_botocore_makes_of_it(entries: list[str], namespace: str):
    folders = "<CommonPrefixes><Prefix>f/</Prefix></CommonPrefixes>"
    body = f"<ListBucketResult{namespace}><IsTruncated>true</IsTruncated>{''.join(entries)}{folders}</ListBucketResult>"
    answer = {"body": body.encode(), "headers": {}, "status_code": 200}
    shape = MODEL.operation_model("ListObjectsV2").output_shape
    ours, theirs = (
        parser(timestamp_parser=parse_time).parse(answer, shape) for parser in (ListingParser, RestXMLParser)
    )
    for one in theirs.get("Contents", ()):
        one.pop("Owner", None)
    assert ours == theirs
    assert len(ours.get("Contents", ())) == len(entries)
