"""Where requests go and with whose key: decided by the configuration, never by what happens to be in the environment."""

import logging
import ssl
import subprocess
import sys
import traceback

import pytest

from batchflow.builtin.anthropic.account import Account, find_address
from batchflow.builtin.anthropic.connection import Connection
from batchflow.builtin.anthropic.provider import anthropic
from batchflow.model.errors import Refused
from batchflow.model.units import Secret
from batchflow.model.words import Word

KEY = "sk-ant-test-0123456789"
LISTING = b'{"data":[]}'


async def listing(line):
    while True:
        heard = await line.hear()
        if heard.head.startswith("GET"):
            await line.say(200, LISTING)
        else:
            await line.say(200, b'{"id":"m"}')


async def both_ways(provider, pack):
    _ = [page async for page in provider.list()]
    await provider.submit(pack())


async def test_both_auth_headers_version_beta_and_workspace_go_out(serve, connect, pack):
    options = {"beta": ["one-2026", "two-2026"], "workspace_id": "wrkspc_1", "version": "2023-06-01"}
    async with serve(listing) as server, connect(server.url, **options, headers={"X-Team": "a"}) as provider:
        await both_ways(provider, pack)
    for heard in server.heard:
        assert heard.header("authorization") == f"Bearer {KEY}"
        assert heard.header("x-api-key") == KEY
        assert heard.header("anthropic-version") == "2023-06-01"
        assert heard.header("anthropic-beta") == "one-2026,two-2026"
        assert heard.header("anthropic-workspace-id") == "wrkspc_1"
        assert heard.header("x-team") == "a"


async def test_a_token_goes_out_as_bearer_only(serve, connect, pack):
    token = {"api_key": None, "auth_token": Secret("tok_9")}
    async with serve(listing) as server, connect(server.url, **token) as provider:
        await both_ways(provider, pack)
    assert {heard.header("authorization") for heard in server.heard} == {"Bearer tok_9"}
    assert {heard.header("x-api-key") for heard in server.heard} == {None}


async def test_x_api_key_can_be_left_out_and_headers_overruled(serve, connect, pack):
    options = {"x_api_key": False, "headers": {"AUTHORIZATION": "Basic gateway"}}
    async with serve(listing) as server, connect(server.url, **options) as provider:
        await both_ways(provider, pack)
    assert {heard.header("authorization") for heard in server.heard} == {"Basic gateway"}
    assert {heard.header("x-api-key") for heard in server.heard} == {None}


async def test_the_environment_changes_nothing_that_is_configured(serve, connect, pack, clean_environment, tmp_path):
    for name, value in {
        "ANTHROPIC_API_KEY": "sk-other",
        "ANTHROPIC_AUTH_TOKEN": "other",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        "ANTHROPIC_CUSTOM_HEADERS": "Authorization: Bearer evil\nX-Evil: 1\nanthropic-version: 1999\nContent-Type: text/evil\nx-api-key: evil",
        "ANTHROPIC_PROFILE": "somebody",
        "ANTHROPIC_CONFIG_DIR": str(tmp_path),
    }.items():
        clean_environment.setenv(name, value)
    async with serve(listing) as server, connect(server.url) as provider:
        await both_ways(provider, pack)
    assert len(server.heard) == 2
    for heard in server.heard:
        assert heard.header("authorization") == f"Bearer {KEY}"
        assert heard.header("x-api-key") == KEY
        assert heard.header("x-evil") is None
        assert heard.header("anthropic-version") == "2026-10-21"
        assert "evil" not in heard.head


async def test_the_environment_speaks_where_the_configuration_does_not(serve, clean_environment, pack):
    async with serve(listing) as server:
        clean_environment.setenv("ANTHROPIC_API_KEY", "sk-env\n")
        clean_environment.setenv("ANTHROPIC_BASE_URL", f"{server.url}/gateway/")
        provider = anthropic()
        clean_environment.setenv("ANTHROPIC_API_KEY", "sk-too-late")
        await both_ways(provider, pack)
        await provider.close()
    assert {heard.header("x-api-key") for heard in server.heard} == {"sk-env"}
    assert all("/gateway/v1/messages/batches" in heard.head for heard in server.heard)


async def test_without_a_key_nothing_is_sent_and_the_error_says_what_to_set(serve, clean_environment, pack):
    async with serve(listing) as server:
        provider = anthropic(base_url=server.url)
        with pytest.raises(Refused) as refusal:
            await provider.submit(pack())
        await provider.close()
    assert refusal.value.word is Word.UNAUTHORIZED
    assert "ANTHROPIC_API_KEY" in refusal.value.hint
    assert (server.connections, provider.binding().key) == (0, "")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_proxy_leads_to_this_machine(serve, connect, pack, clean_environment, dead_port, variable, host):
    clean_environment.setenv(variable, f"http://127.0.0.1:{dead_port}")
    async with serve(listing) as server, connect(server.url.replace("127.0.0.1", host)) as provider:
        await both_ways(provider, pack)
    assert len(server.heard) == 2


async def test_other_hosts_are_reached_through_the_environments_proxy(serve, connect, pack, clean_environment):
    async with serve(listing) as proxy:
        clean_environment.setenv("HTTP_PROXY", proxy.url)
        async with connect("http://api.example.invalid") as provider:
            await both_ways(provider, pack)
    assert [heard.head.split()[1].split("?")[0] for heard in proxy.heard] == [
        "http://api.example.invalid/v1/messages/batches"
    ] * 2


async def test_a_configured_proxy_comes_before_the_environments(serve, connect, pack, clean_environment, dead_port):
    clean_environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{dead_port}")
    async with serve(listing) as proxy, connect("http://api.example.invalid", proxy=proxy.url) as provider:
        await both_ways(provider, pack)
    assert len(proxy.heard) == 2


@pytest.mark.parametrize("loud", [False, True])
async def test_neither_key_nor_prompt_reach_logs_errors_or_reprs(serve, connect, pack, caplog, clean_environment, loud):
    caplog.set_level(logging.DEBUG if loud else logging.INFO)

    async def echo(line):
        heard = await line.hear()
        await line.say(401, heard.head.encode().replace(b"\r\n", b" "))

    shown = []
    async with serve(echo) as server, connect(server.url) as provider:
        for call in (
            provider.submit(pack([b'{"prompt":"a very private thing"}'])),
            provider.send(b'"a very private thing"'),
            provider.status("m"),
        ):
            with pytest.raises(Refused) as refusal:
                await call
            shown += traceback.format_exception(refusal.value)
        shown += [repr(vars(provider)), repr(provider.binding()), caplog.text]
    told = "".join(shown)
    assert "HTTP 401" in told
    assert KEY not in told
    assert "private thing" not in told


def test_two_keys_have_two_fingerprints_and_neither_is_the_key():
    one, two = (anthropic(api_key=Secret(f"sk-{n}"), base_url="http://localhost:1").binding() for n in "12")
    assert one.key != two.key
    assert len(one.key) == 16
    assert "sk-1" not in repr(one)


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk-ÿ", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key):
    with pytest.raises(ValueError, match="characters that no key has") as refusal:
        anthropic(api_key=Secret(key))
    assert "sk-" not in str(refusal.value)


def test_a_header_that_cannot_be_sent_is_refused_without_being_shown():
    with pytest.raises(ValueError, match="X-Gateway") as refusal:
        anthropic(api_key=Secret("k"), headers={"X-Gateway": "hush\nhush"})
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8000", True),
        ("https://localhost/v1", True),
        ("http://sim.localhost", True),
        ("https://api.anthropic.com", False),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
    ],
)
def test_which_addresses_are_on_this_machine(address, here):
    account = Account(base_url=address, secret=None, is_key=True, headers={}, proxy=None, patience=1)
    assert account.on_this_machine is here


@pytest.mark.parametrize(
    ("address", "proxy", "certificates"),
    [
        ("http://127.0.0.1:8000", None, False),
        ("http://127.0.0.1:8000", "https://proxy.example", True),
        ("https://127.0.0.1:8000", None, True),
        ("http://gateway.example", None, True),
        ("https://api.anthropic.com", None, True),
    ],
)
async def test_certificates_are_loaded_unless_nothing_is_encrypted(monkeypatch, address, proxy, certificates):
    loaded = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *given: loaded.append(given))
    account = Account(base_url=address, secret=Secret(KEY), is_key=True, headers={}, proxy=proxy, patience=1)
    await Connection(account).close()
    assert bool(loaded) is certificates


def test_a_key_and_a_token_are_one_too_many():
    with pytest.raises(ValueError, match="only one"):
        anthropic(api_key=Secret("a"), auth_token=Secret("b"))


@pytest.mark.parametrize("address", ["api.anthropic.com", "ftp://x", "http://", "http://me:secret@x", "http://x?y=1"])
def test_a_base_url_that_is_none_is_refused_with_an_example(address):
    with pytest.raises(ValueError, match="base_url") as refusal:
        anthropic(api_key=Secret("k"), base_url=address)
    assert "secret" not in str(refusal.value)


def test_a_closing_slash_makes_no_other_binding():
    assert find_address("https://api.anthropic.com/") == find_address("https://api.anthropic.com")


def test_the_factory_opens_nothing_and_imports_no_http_library():
    code = (
        "import sys\n"
        "from batchflow.builtin.anthropic.provider import anthropic\n"
        "from batchflow.model.units import Secret\n"
        "anthropic(api_key=Secret('k')).limits()\n"
        "assert not {'anthropic', 'aiohttp', 'httpx2', 'pydantic'} & set(sys.modules), set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_it_works_without_aiohttp_too(serve, connect, pack, monkeypatch):
    import anthropic as sdk

    def missing(**_):
        raise RuntimeError("To use the aiohttp client you must have installed the package with the `aiohttp` extra")

    monkeypatch.setattr(sdk, "DefaultAioHttpClient", missing)
    async with serve(listing) as server, connect(server.url) as provider:
        await both_ways(provider, pack)
        assert [piece async for piece in provider.results("m")] == [LISTING]
    assert len(server.heard) == 3


async def test_closing_twice_is_fine_and_so_is_closing_what_was_never_opened(serve, connect):
    async with serve(listing) as server, connect(server.url) as provider:
        await provider.close()
        _ = [page async for page in provider.list()]
        await provider.close()
        await provider.close()


def test_a_key_of_a_few_letters_is_not_looked_for_in_what_is_said():
    settings = {"base_url": "https://api", "is_key": True, "headers": {}, "proxy": None, "patience": 1.0}
    assert Account(secret=Secret("k"), **settings).conceal("a broken link") == "a broken link"
    assert Account(secret=Secret(KEY), **settings).conceal(f"bad key {KEY}") == "bad key ***"
