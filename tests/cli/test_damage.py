"""What `show` says of objects that are not as they were written: never a wrong answer, and never \"no such key\"."""

import json
from pathlib import Path

import pytest

from batchflow.cli.exits import Exit


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    path.write_bytes(data)


def object_of(shop, kind):
    shop("run")
    [path] = (shop.folder / ".batchflow" / "objects").glob(f"*/*/{kind}")
    return path


@pytest.mark.parametrize("kind", ["context", "requests", "results-*"])
@pytest.mark.parametrize(
    "how", [lambda path: flip(path, path.stat().st_size // 2), Path.unlink], ids=["flip", "unlink"]
)
def test_a_damaged_object_is_named(shop, kind, how):
    path = object_of(shop, kind)
    how(path)
    said = [shop("show", f"k-{n}") for n in range(4)]
    assert all("k-" in one.out for one in said if one.code == Exit.DELIVERED)
    told = [one for one in said if one.code == Exit.STORE]
    assert told
    for one in told:
        assert f"{path.parent.name}/{path.name}" in one.err
        assert "copy of the state folder" in one.err


@pytest.mark.parametrize("kind", ["context", "results-*"])
def test_results_gives_all_that_is_sound_and_names_what_is_not(simulate, shop_of, kind):
    shop = shop_of(simulate(), records=40, more="batch: {max_requests: 10}")
    shop("run")
    whole = {json.loads(line)["key"] for line in shop("results").out.splitlines()}
    path = min((shop.folder / ".batchflow" / "objects").glob(f"*/*/{kind}"))
    path.unlink()
    said = shop("results")
    given = {json.loads(line)["key"] for line in said.out.splitlines()}
    assert said.code == Exit.STORE
    assert given < whole
    assert len(whole - given) <= 10
    assert said.err.count("error:") == 1
    assert f"{path.parent.name}/{path.name}" in said.err
    last = said.err.splitlines()[-1]
    assert "next:" in last
    if kind != "context":
        assert shop(*last.split("`")[1].split()[1:]).code == Exit.DELIVERED
        said = shop("results")
        assert (said.code, len(said.out.splitlines())) == (Exit.DELIVERED, 40)


def test_no_bit_of_a_context_can_make_a_key_unknown(shop):
    """Wherever it is damaged, "no such key" is never said: the object is named."""
    path = object_of(shop, "context")
    sound = path.read_bytes()
    for at in range(len(sound)):
        flip(path, at)
        said = shop("show", "k-2")
        assert (said.code, path.name in said.err) == (Exit.STORE, True), (at, said)
        path.write_bytes(sound)
    path.write_bytes(bytes(len(sound)))
    assert shop("show", "no such key").code == Exit.STORE
    path.write_bytes(sound)
    assert shop("show", "no such key").code == Exit.USAGE
