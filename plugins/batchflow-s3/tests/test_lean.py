"""What the library reads of its own files, and that nothing is missed in what is left out."""

import json
import re
from pathlib import Path

import batchflow_s3
import boto3
import botocore
import pytest
from batchflow_s3.client import Server
from batchflow_s3.lean import OURS, SERVICES, Files, loader
from batchflow_s3.place import access
from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session

DATA = Path(botocore.__file__).parent / "data"
SOURCES = [path.read_text() for path in Path(batchflow_s3.__file__).parent.glob("*.py")]


def session(loader):
    made = Session()
    made.register_component("data_loader", loader)
    return made


def test_every_operation_that_we_call_is_kept_and_no_other():
    known = boto3.client("s3", region_name="us-east-1").meta.method_to_api_mapping
    called = {known[word] for text in SOURCES for word in re.findall(r"\w+", text) if word in known}
    assert called | {"CreateSession", "HeadBucket"} == OURS


@pytest.mark.parametrize("operation", sorted(OURS))
def test_an_operation_is_what_the_library_knows_but_for_its_documentation(operation):
    # The library mends the models of a loader when it makes a client, so these have never seen one.
    loaders = Loader(file_loader=Files()), Loader()
    lean, whole = (session(one).get_service_model("s3").operation_model(operation) for one in loaders)
    for mine, theirs in ((lean.input_shape, whole.input_shape), (lean.output_shape, whole.output_shape)):
        assert flat(mine) == flat(theirs)
    assert (lean.http, lean.metadata) == (whole.http, whole.metadata)
    assert lean.http_checksum == whole.http_checksum
    assert [shape.name for shape in lean.error_shapes] == [shape.name for shape in whole.error_shapes]


def flat(shape, seen=()):
    """Says all of a shape that is no documentation."""
    if shape is None or shape.name in seen:
        return shape and shape.name
    members = getattr(shape, "members", None) or {}
    inside = {name: flat(one, (*seen, shape.name)) for name, one in members.items()}
    return shape.name, shape.type_name, shape.serialization, sorted(shape.required_members) if members else [], inside


@pytest.mark.parametrize("service", ["s3", "sts", "sso", "sso-oidc"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "aws-global", "mars-1"])
def test_a_client_talks_to_the_same_address(service, region, monkeypatch):
    urls = []
    for one in (loader(None), Loader()):
        made = boto3.Session(botocore_session=session(one))
        client = made.client(service, region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
        urls.append((client.meta.endpoint_url, client.meta.partition, client.meta.region_name))
    assert urls[0] == urls[1]


@pytest.mark.parametrize(
    "name", ["partitions", "_retry", "s3/2006-03-01/endpoint-rule-set-1", "s3/2006-03-01/paginators-1"]
)
def test_what_is_not_made_smaller_is_the_same(name):
    assert Files().load_file(str(DATA / name)) == JSONFileLoader().load_file(str(DATA / name))


def test_what_is_left_out_is_most_of_it():
    name = str(DATA / "endpoints")
    lean, whole = (len(json.dumps(one.load_file(name))) for one in (Files(), JSONFileLoader()))
    assert lean < whole / 10
    model = loader(None).load_service_model("s3", "service-2")
    assert set(model["operations"]) == OURS
    assert all(set(partition["services"]) <= SERVICES for partition in Files().load_file(name)["partitions"])


def test_a_file_that_is_not_there_is_none():
    assert Files().load_file(str(DATA / "nothing")) is None


@pytest.mark.parametrize(
    "text", ['{"partitions": {}}', '{"partitions": [{"regions": {}}], "version": 3}', '{"v": NaN}']
)
def test_a_file_of_another_shape_is_read_as_the_library_does(tmp_path, text):
    (tmp_path / "endpoints.json").write_text(text)
    name = str(tmp_path / "endpoints")
    assert str(Files().load_file(name)) == str(JSONFileLoader().load_file(name))


def test_a_model_of_another_shape_is_read_as_the_library_does(tmp_path):
    folder = tmp_path / "s3" / "2006-03-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text('{"operations": {"PutObject": {"input": {"shape": "Gone"}}}, "shapes": {}}')
    name = str(folder / "service-2")
    assert Files().load_file(name) == JSONFileLoader().load_file(name)


def test_the_users_own_models_are_found(tmp_path, monkeypatch):
    (tmp_path / "own" / "2020-01-01").mkdir(parents=True)
    (tmp_path / "own" / "2020-01-01" / "service-2.json").write_text(
        '{"documentation": "long", "a": {"documentation": {}}}'
    )
    assert loader(str(tmp_path)).load_service_model("own", "service-2") == {
        "documentation": "",
        "a": {"documentation": {}},
    }
    assert loader(str(tmp_path)) is loader(str(tmp_path))


async def test_a_client_of_ours_reads_like_this(monkeypatch, shelf):
    async with Server(access(endpoint_url=shelf.url, region=None, path_style=True)).connect() as client:
        assert set(client.meta.service_model.operation_names) == OURS
        await client.put_object(Bucket=shelf.bucket, Key="a", Body=b"x")
    assert shelf.get("a") == b"x"
