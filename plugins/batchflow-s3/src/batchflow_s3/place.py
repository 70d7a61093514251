"""Where things lie and how they are reached: `s3://bucket/prefix/`, and what every part of this plugin is told about a server."""

from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

Encryption: TypeAlias = Literal["AES256", "aws:kms", "aws:kms:dsse"]


class Place(msgspec.Struct, frozen=True):
    """A bucket, and what the keys in it begin with."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return self.url(self.prefix)

    def url(self, key: str) -> str:
        """Writes the address of an object."""
        return f"s3://{self.bucket}/{key}"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is reached. Keys are not here: they come by the usual chain of AWS."""

    endpoint_url: str | None = None
    region: str | None = None
    path_style: bool = False


def folder_at(url: str) -> Place:
    """Reads an address under which things are kept; a slash at its end goes without saying."""
    place = place_at(url)
    if place.prefix and not place.prefix.endswith("/"):
        return Place(place.bucket, f"{place.prefix}/")
    return place


def place_at(url: str) -> Place:
    """Reads an address, or raises `ValueError`."""
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f'url is {url!r}, but must be like "s3://bucket/folder/"')
    if prefix.startswith("/") or "//" in prefix:
        raise ValueError(f"url is {url!r}: two slashes in a row make a folder without a name")
    return Place(bucket, prefix)


def access(*, endpoint_url: str | None, region: str | None, path_style: bool) -> Access:
    """Takes a server's address, or raises `ValueError`."""
    if endpoint_url is not None:
        parts = urlsplit(endpoint_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("endpoint_url must begin with http:// or https:// and name a server")
        if parts.username or parts.password:  # it is shown in messages; keys have places of their own
            raise ValueError("endpoint_url must hold no user and password: give keys as AWS_ACCESS_KEY_ID and so on")
    return Access(endpoint_url=endpoint_url, region=region, path_style=path_style)


def sealing(sse: Encryption | None, kms_key: str | None) -> dict[str, str]:
    """Gives what is said with every object that is written so that the server encrypts it."""
    if kms_key and sse == "AES256":
        raise ValueError("kms_key goes with sse: aws:kms; AES256 has a key of the server's own")
    said = {"ServerSideEncryption": sse or ("aws:kms" if kms_key else ""), "SSEKMSKeyId": kms_key or ""}
    return {name: value for name, value in said.items() if value}
