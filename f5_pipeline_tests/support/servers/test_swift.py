"""Swift is as strict as the store needs a server to be: what passes here would pass on B2."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from f5_pipeline_tests.support.servers.server import S3Server

BUCKET = "strict-bucket"


@pytest.fixture(scope="module")
def bucket(swift_server: S3Server) -> str:
    return swift_server.make_bucket(BUCKET)


def refusal(work) -> tuple[int, str]:
    """Status and S3 error code that the work is refused with."""
    with pytest.raises(ClientError) as refused:
        work()
    response = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def status(url: str, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_objects_come_back_with_their_metadata(swift_server: S3Server, bucket: str) -> None:
    client = swift_server.client()
    client.put_object(Bucket=bucket, Key="a/ü ß.txt", Body=b"text", Metadata={"sha256": "ab"})
    found = client.get_object(Bucket=bucket, Key="a/ü ß.txt", Range="bytes=1-2")
    assert (found["Body"].read(), found["Metadata"]) == (b"ex", {"sha256": "ab"})


def test_wrong_secret_is_refused(swift_server: S3Server, bucket: str) -> None:
    client = swift_server.client(aws_secret_access_key="wrong")
    assert refusal(lambda: client.put_object(Bucket=bucket, Key="x", Body=b"")) == (403, "SignatureDoesNotMatch")


def test_unknown_key_is_refused(swift_server: S3Server, bucket: str) -> None:
    client = swift_server.client(aws_access_key_id="studio:nobody")
    assert refusal(lambda: client.put_object(Bucket=bucket, Key="x", Body=b""))[0] == 403


def test_wrong_region_is_refused(swift_server: S3Server, bucket: str) -> None:
    client = swift_server.client(region_name="us-west-004")
    # Botocore signs anew for the region that the refusal names, but it cannot do so in a link.
    link = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "x"}, ExpiresIn=60)
    assert status(link, "PUT") == 400
    assert client.put_object(Bucket=bucket, Key="x", Body=b"")["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_anonymous_requests_are_refused(swift_server: S3Server, bucket: str) -> None:
    swift_server.client().put_object(Bucket=bucket, Key="private", Body=b"1")
    assert status(f"{swift_server.endpoint}/{bucket}/private") >= 400


def test_links_are_signed_and_expire(swift_server: S3Server, bucket: str) -> None:
    client = swift_server.client()
    client.put_object(Bucket=bucket, Key="linked", Body=b"1")
    parameters = {"Bucket": bucket, "Key": "linked"}
    link = client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=60)
    assert status(link) == 200
    assert status(link.replace("/linked?", "/other?")) == 403
    assert status(link.replace("X-Amz-Expires=60", "X-Amz-Expires=600")) == 403
    short = client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=1)
    time.sleep(2.1)
    assert status(short) == 403
    too_long = client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=604_801)
    assert status(too_long) == 400


@pytest.mark.parametrize("condition", [{"IfNoneMatch": "*"}, {"IfMatch": '"x"'}])
def test_conditional_puts_are_not_implemented(swift_server: S3Server, bucket: str, condition: dict[str, str]) -> None:
    client = swift_server.client()
    assert refusal(lambda: client.put_object(Bucket=bucket, Key="c", Body=b"1", **condition))[0] == 501


def test_several_deletes_at_once_need_a_content_md5(swift_server: S3Server, bucket: str) -> None:
    # botocore sends a CRC32 with DeleteObjects whatever it is told, and no Content-MD5.
    client = swift_server.client()
    code = refusal(lambda: client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "x"}]}))
    assert code == (400, "InvalidRequest")


def test_a_missing_bucket_is_told(swift_server: S3Server) -> None:
    client = swift_server.client()
    assert refusal(lambda: client.put_object(Bucket="no-such-bucket", Key="x", Body=b"1")) == (404, "NoSuchBucket")


def test_parts_are_listed_and_put_together(swift_server: S3Server, bucket: str) -> None:
    client = swift_server.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key="big", Metadata={"sha256": "cd"})["UploadId"]
    place = {"Bucket": bucket, "Key": "big", "UploadId": upload}
    sizes = [5 << 20, 1000]
    etags = [
        client.upload_part(**place, PartNumber=number, Body=bytes(size))["ETag"] for number, size in enumerate(sizes, 1)
    ]
    assert [part["Size"] for part in client.list_parts(**place)["Parts"]] == sizes
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    found = client.head_object(Bucket=bucket, Key="big")
    assert (found["ContentLength"], found["Metadata"]) == (sum(sizes), {"sha256": "cd"})


def test_a_versioned_bucket_keeps_what_is_overwritten(swift_server: S3Server) -> None:
    bucket = swift_server.make_bucket("versioned-bucket", versioned=True)
    client = swift_server.client()
    for body in (b"1", b"2"):
        client.put_object(Bucket=bucket, Key="x", Body=body)
    client.delete_object(Bucket=bucket, Key="x")
    found = client.list_object_versions(Bucket=bucket)
    assert (len(found["Versions"]), len(found["DeleteMarkers"])) == (2, 1)
    for version in (*found["Versions"], *found["DeleteMarkers"]):
        client.delete_object(Bucket=bucket, Key="x", VersionId=version["VersionId"])
    left = client.list_object_versions(Bucket=bucket)
    assert not left.get("Versions") and not left.get("DeleteMarkers")


def test_signature_v2_is_still_taken(swift_server: S3Server, bucket: str) -> None:
    # Unlike B2: that links and requests are signed by v4 must be looked at in them.
    client = swift_server.client(config=Config(signature_version="s3"))
    client.put_object(Bucket=bucket, Key="v2", Body=b"1")
    assert client.get_object(Bucket=bucket, Key="v2")["Body"].read() == b"1"


def test_objects_outlive_a_restart(swift_server: S3Server, bucket: str) -> None:
    client = swift_server.client()
    client.put_object(Bucket=bucket, Key="kept", Body=b"1")
    swift_server.stop()
    swift_server.start()
    assert client.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"1"
