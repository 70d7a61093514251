"""`${secret:NAME}`: looked up when a job is driven, by nobody else, and seen nowhere."""

import msgspec
import pytest

from batchflow.config.build import build, build_provider, make
from batchflow.config.secrets import Lookups
from batchflow.model.errors import ConfigError, PluginError
from batchflow.plugin import hookimpl

SECRET = "hunter2hunter2"
JOB = """\
provider: {type: remote, key: "%s", headers: {x-key: "Bearer %s"}}
jobs:
  triage:
    source: {type: rows, path: in.jsonl}
    request: {type: asks, model: m}
    sinks: [{type: table, path: out.db}]
"""


class Vault:
    """A secret store that counts how often it is asked."""

    def __init__(self, given):
        self.given = given
        self.asked = []

    def find(self, name):
        self.asked.append(name)
        found = self.given.get(name)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def vault():
    return Vault({"api": SECRET})


class Store:
    def __init__(self, vault):
        self._vault = vault

    @hookimpl
    def register_secrets(self, register):
        register("vault", lambda: self._vault)
        register("far", lambda *, url: self._vault)


@pytest.fixture
def more(vault):
    return [Store(vault)]


@pytest.fixture
def opened(loaded, plugins):
    """The provider as who drives a job gets it."""

    def make_it(text):
        file = loaded(text, {})
        return build_provider(file.jobs["triage"], {}, Lookups(file.secrets, plugins))

    return make_it


def with_key(reference, more=""):
    return more + JOB % (reference, reference)


def test_it_reaches_its_component_when_the_job_is_driven(opened, vault):
    made = opened(with_key("${secret:vault:api}"))
    assert made.options["key"].reveal() == SECRET
    assert made.options["headers"]["x-key"].reveal() == f"Bearer {SECRET}"
    assert vault.asked == ["api"]


def test_the_first_declared_store_is_asked_where_none_is_named(opened, tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "api").write_text(SECRET + "\n")
    made = opened(with_key("${secret:api}", "secrets: {mine: {type: folder, path: keys}, vault: }\n"))
    assert made.options["key"].reveal() == SECRET


def test_references_to_the_environment_stand_beside_it(loaded, plugins):
    file = loaded(with_key("${env:USER}:${secret:vault:api}@$${x}"), {"USER": "me"})
    made = build_provider(file.jobs["triage"], {}, Lookups(file.secrets, plugins))
    assert made.options["key"].reveal() == f"me:{SECRET}@$${{x}}"


def test_whoever_only_looks_asks_nobody(loaded, vault):
    file = loaded(with_key("${secret:vault:api}"), {})
    spec = file.jobs["triage"]
    build(spec, {})
    build_provider(spec, {})
    make(spec, {}, provider=True, notifiers=True)
    assert vault.asked == []


def test_it_is_not_in_what_is_shown_stored_hashed_or_said(loaded, plugins, vault):
    file = loaded(with_key("${secret:vault:api}"), {})
    spec = file.jobs["triage"]
    build_provider(spec, {}, Lookups(file.secrets, plugins))
    assert SECRET not in repr(file) + repr(spec.components) + msgspec.json.encode([spec.summary, spec.rules]).decode()
    assert "warning" not in "".join(file.warnings)
    vault.given["api"] = "another-key"
    assert loaded(with_key("${secret:vault:api}"), {}).jobs["triage"].config == spec.config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (with_key("${secret:valt:api}"), "job.yaml:1:32: there is no secret store `valt`: did you mean `vault`? known: far, folder, vault"),
        (with_key("${secret:vault:}"), "job.yaml:1:32: `${secret:vault:}` names no secret"),
        (
            with_key("k" * 9).replace("in.jsonl", '"${secret:vault:api}"'),
            "job.yaml:4:33: `path` is no place for a secret: it may be shown and stored",
        ),
        (
            with_key("k" * 9).replace("model: m", 'model: "${secret:vault:api}"'),
            "job.yaml:5:34: a request may hold no ${env:...}, ${file:...} or ${secret:...}: it would be stored with what they stand for",
        ),
        (
            with_key("k" * 9, 'secrets: {far: {url: "${secret:vault:api}"}}\n'),
            "job.yaml:1:23: `url` is no place for a secret: it may be shown and stored",
        ),
        (with_key("k" * 9, "secrets: {vault: {urk: 1}}\n"), "job.yaml:1:19: unknown option `urk`"),
        (with_key("k" * 9, "secrets: {valt: {}}\n"), "job.yaml:1:17: there is no secret_store `valt`: did you mean `vault`? known: far, folder, vault"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_reference_is_told_without_asking(heads, vault, text, said):
    assert said in heads(text, {})
    assert vault.asked == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "job.yaml:1:32: secret store `vault` has no `api`"),
        ("", "job.yaml:1:32: secret store `vault` has no `api`"),
        (ValueError("sealed since noon"), "job.yaml:1:32: sealed since noon"),
    ],
)
def test_what_cannot_be_looked_up_is_told_at_its_line(opened, vault, found, said):
    vault.given["api"] = found
    with pytest.raises(ConfigError) as raised:
        opened(with_key("${secret:vault:api}"))
    assert raised.value.problems[0].startswith(said)


def test_a_store_that_is_missing_its_options_says_so(opened):
    with pytest.raises(ConfigError) as raised:
        opened(with_key("${secret:far:api}"))
    assert (
        "secret store `far` needs options: `url` is required; write them below `secrets:`" in raised.value.problems[0]
    )


@pytest.mark.parametrize(("found", "said"), [(KeyError(SECRET), "KeyError"), (7, "gave int for `api`, not a text")])
def test_a_store_that_fails_is_named_and_not_quoted(opened, vault, found, said):
    vault.given["api"] = found
    with pytest.raises(PluginError, match=said) as raised:
        opened(with_key("${secret:vault:api}"))
    assert "`vault`" in raised.value.message
    assert SECRET not in raised.value.message


def test_a_factory_that_quotes_it_is_not_quoted(opened, vault):
    vault.given["api"] = "nowhere"
    with pytest.raises(ConfigError) as raised:
        opened(with_key("${secret:vault:api}").replace("type: remote", 'type: remote, url: "nowhere"'))
    assert "url: ${secret:vault:api} is no address" in raised.value.problems[0]


def test_what_a_factory_says_of_the_stand_in_does_not_count(loaded):
    """`validate` makes the parts without their secrets: only what they say of other options is true."""
    notify = '    notify: [{type: webhook, url: "%s", secret: "${secret:vault:api}"}]\n'
    spec = loaded(with_key("k" * 9) + notify % "https://a.example", {}).jobs["triage"]
    assert make(spec, {}, notifiers=True).refused == []
    spec = loaded(with_key("k" * 9) + notify % "nowhere", {}).jobs["triage"]
    assert [fault.message for fault in make(spec, {}, notifiers=True).refused] == [
        "url: should begin with https:// or http:// and name a host"
    ]


@pytest.mark.parametrize("name", ["../key", "/etc/passwd"])
def test_the_folder_is_not_left(opened, tmp_path, name):
    (tmp_path / "keys").mkdir()
    (tmp_path / "key").write_text(SECRET)
    with pytest.raises(ConfigError) as raised:
        opened(with_key(f"${{secret:{name}}}", "secrets: {folder: {path: keys}}\n"))
    assert "leads out of" in raised.value.problems[0]
