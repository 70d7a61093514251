"""The pages are true: their job files are read, their programs run, the tutorial is typed, links and commands exist."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from batchflow.cli.app import VERBS
from batchflow.config.load import load
from batchflow.config.one_job import KEYS
from batchflow.extend import hooks
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.sim import FaultPlan, Simulator

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("examples/*.md")),
]
PAGES += sorted(ROOT.glob("plugins/*/README.md"))
FENCE = re.compile(r"^( *)```(?P<kind>[a-z]+)?(?: (?P<mark>\S+))?\n(?P<text>.*?)^\1```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?P<to>[^)#]+)(?P<at>#[^)]*)?\)")
TOLD = re.compile(r"\bbatchflow ([a-z]+)\b")
NO_VERBS = {"import"}  # `from batchflow import ...`

TUTORIALS = sorted(ROOT.glob("docs/tutorial/*.md"))
"""Pages that are typed from their first line to their last, so that what they show stands together."""

SMALL_JOB = {
    "source": "{type: jsonl, path: in.jsonl}",
    "request": "{model: claude-haiku-4-5, max_tokens: 10, prompt: Hello.}",
    "sinks": "[{type: jsonl, path: out.jsonl}]",
}


class Fence:
    """One block of code in a page."""

    def __init__(self, page: Path, found: re.Match[str]) -> None:
        self.page = page
        self.line = page.read_text(encoding="utf-8")[: found.start()].count("\n") + 1
        self.kind = found["kind"] or ""
        self.title = (found["mark"] or "").removeprefix("title=")
        indent = len(found[1])
        self.text = "".join(line[indent:] for line in found["text"].splitlines(keepends=True))

    def __repr__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fences(page: Path) -> Iterator[Fence]:
    return (Fence(page, found) for found in FENCE.finditer(page.read_text(encoding="utf-8")))


def of_kind(*kinds: str) -> list[Fence]:
    return [
        fence
        for page in PAGES
        for fence in fences(page)
        if fence.kind in kinds and not (page in TUTORIALS and fence.title)
    ]


@pytest.fixture
def sim():
    with Simulator(seed=1, speed=3600, duration=600) as running:
        yield running


@pytest.fixture
def reader_env(sim) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "BATCHFLOW_"))}
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": found, "ANTHROPIC_BASE_URL": sim.url, "ANTHROPIC_API_KEY": "any"}


def as_job_file(text: str) -> str:
    """Completes some parts of a job to a job file."""
    written = yaml.safe_load(text).keys()
    if "jobs" in written:
        return text
    assert written <= set(KEYS), f"neither a job file nor parts of a job: {sorted(written)}"
    parts = [f"{key}: {value}\n" for key, value in SMALL_JOB.items() if key not in written]
    return "jobs:\n  example:\n" + indent("".join([text, *parts]), "    ")


@pytest.mark.parametrize("fence", of_kind("yaml"), ids=repr)
def test_yaml_is_a_sound_job_file_or_a_part_of_one(fence, tmp_path):
    file = tmp_path / "batchflow.yaml"
    if fence.title == "fault-plan":
        file.write_text(fence.text)
        assert FaultPlan.load(file).rules
        return
    file.write_text(as_job_file(fence.text))
    assert load(file, Plugins(), {"ANTHROPIC_API_KEY": "any", "HOOK_SECRET": "any"}).jobs


@pytest.mark.parametrize("fence", of_kind("python"), ids=repr)
def test_python_runs(fence, tmp_path, reader_env, forge):
    script = tmp_path / (fence.title or "main.py")
    script.write_text(fence.text)
    begin = begun_by_pytest if script.name.startswith("test_") else forge.begin
    with begin(program=script, folder=tmp_path, env=reader_env) as process:
        out, err = process.communicate()
    assert process.returncode == 0, out + err


def begun_by_pytest(*, program, folder, env):
    """Begins pytest on a test that a page shows."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", program.name]
    return subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def type_all(page, folder, env):
    """Does what a page says: writes its files, types its commands, and looks for what it shows."""
    said = ""
    for fence in fences(page):
        if fence.title:
            (folder / fence.title).parent.mkdir(exist_ok=True)
            (folder / fence.title).write_text(fence.text)
        elif fence.kind == "shell":
            done = subprocess.run(
                fence.text, shell=True, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
            )
            said = done.stderr + done.stdout
            assert done.returncode == 0, f"{fence}: {said}"
        elif fence.kind == "text":
            assert re.search(shown(fence.text), said), f"{fence}: it said {said!r}"


def test_the_tutorial_can_be_typed_word_by_word(tmp_path, reader_env, sim):
    type_all(ROOT / "docs/tutorial/first-job.md", tmp_path, reader_env)
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert sim.stats()["requests_accepted"] == 5


@pytest.mark.slow
def test_the_first_plugin_can_be_typed_word_by_word(tmp_path, reader_env, sim):
    type_all(ROOT / "docs/tutorial/first-plugin.md", tmp_path, reader_env)
    assert (tmp_path / "acme-notebook/tests/test_sink.py").exists()
    assert sim.stats()["requests_accepted"] == 3


def shown(text: str) -> str:
    """Makes a pattern of what a page shows, where `...` stands for anything."""
    words = " ".join(text.split())
    return r"\s+".join(map(re.escape, words.split(" "))).replace(re.escape("..."), r"[\s\S]*?")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    found = [(match["to"], match["at"]) for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    for to, at in found:
        target = (page.parent / to).resolve()
        assert "://" in to or target.exists(), f"{page}: {to} is not there"
        assert not at or at[1:] in anchors(target), f"{page}: {to} has no {at}"


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page):
    code = "\n".join(re.findall(r"`[^`]+`|^ {4}.*$", page.read_text(encoding="utf-8"), re.MULTILINE))
    code += "\n".join(fence.text for fence in fences(page) if fence.kind in {"shell", "console", "bash"})
    assert set(TOLD.findall(code)) - {name for name, _, _ in VERBS} - NO_VERBS == set()
    assert set(re.findall(r"\bbatchflow describe ([a-z_]+)", code)) <= set(Kind)


def test_every_command_that_a_message_names_exists():
    verbs = {name for name, _, _ in VERBS}
    told = {
        (str(path.relative_to(ROOT)), verb)
        for path in ROOT.glob("src/**/*.py")
        for verb in re.findall(r"`batchflow ([a-z]+)(?![a-z_])", path.read_text(encoding="utf-8"))
    }
    assert {verb for _, verb in told} >= {"run", "resume", "validate"}
    assert {(path, verb) for path, verb in told if verb not in verbs} == set()


def test_every_page_is_in_the_index():
    linked = linked_from(ROOT / "docs/README.md")
    linked |= {page for index in linked if index.name == "README.md" for page in linked_from(index)}
    assert set(ROOT.glob("docs/*/*.md")) <= linked


def linked_from(page: Path) -> set[Path]:
    return {(page.parent / match["to"]).resolve() for match in LINK.finditer(page.read_text(encoding="utf-8"))}


def test_every_hook_has_a_page_and_an_example():
    known = {name for name, made in vars(hooks).items() if hasattr(made, "batchflow_spec")}
    advice = "write docs/plugins/examples/HOOK.py, then type: uv run python scripts/reference.py"
    assert {path.stem for path in ROOT.glob("docs/plugins/examples/*.py")} == known, advice
    assert {path.stem for path in ROOT.glob("docs/plugins/*.md")} - {"README", "api"} == known, advice


def test_every_example_of_a_hook_uses_that_hook():
    examples = {path.stem: path.read_text() for path in ROOT.glob("docs/plugins/examples/*.py")}
    assert [name for name, text in examples.items() if f"def {name}(" not in text or "Plugins([" not in text] == []


PUBLIC = {"batchflow", "batchflow.plugin", "batchflow.testing", "batchflow.lines", "batchflow.sim"}


def test_what_authors_copy_imports_nothing_that_may_change():
    shown = [
        path
        for folder in ("docs", "examples", "plugins", "src/batchflow/scaffold")
        for path in ROOT.glob(f"{folder}/**/*.py")
    ]
    texts = {path: path.read_text(encoding="utf-8") for path in shown if path.parent.name != "benchmarks"}
    texts |= {page: page.read_text(encoding="utf-8") for page in [*ROOT.glob("docs/how-to/*.md"), *TUTORIALS]}
    found = {
        (path.relative_to(ROOT), name)
        for path, text in texts.items()
        for name in re.findall(r"^\s*(?:from|import) (batchflow(?:\.\w+)*)", text, re.MULTILINE)
    }
    assert sorted((str(path), name) for path, name in found if name not in PUBLIC and "tests" not in path.parts) == []


def test_pages_made_from_the_code_are_current():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts/reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert [path.name for path, _ in reference.stale()] == [], "type: uv run python scripts/reference.py"


def test_ci_calls_the_readmes_own_commands():
    commands = re.findall(r"^    (python3 -m pip install .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert commands == [
        "python3 -m pip install -q uv && python3 -m uv run --no-dev batchflow demo",
        "python3 -m pip install -q uv && python3 -m uv run pytest",
    ]
    assert f"\n{commands[1]}\n" in (ROOT / ".ci/run").read_text()


def test_no_page_sends_people_to_another_projects_package():
    assert not [
        page for page in PAGES if re.search(r"(pip|uv)[a-z ]* (install|add) batchflow\b(?!-)", page.read_text())
    ]


def test_what_the_readme_claims_is_shown_by_files_that_are_there():
    shown_by = re.findall(r"^\|.*\| (`.*`) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    paths = [path for cell in shown_by for path in re.findall(r"`([^`]+)`", cell)]
    assert len(paths) >= 9
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_readmes_job_is_the_first_example():
    [fence] = [fence for fence in fences(ROOT / "README.md") if fence.kind == "yaml"]
    assert yaml.safe_load(fence.text) == yaml.safe_load((ROOT / "examples/01-smallest/batchflow.yaml").read_text())
