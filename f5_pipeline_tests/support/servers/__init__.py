"""S3 servers for tests: moto, OpenStack Swift's s3api, and a proxy in front of either that makes faults."""
