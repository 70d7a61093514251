"""Look into built packages: what must be inside is, and what must not be is not. `inspect_packages.py DIST`."""

import sys
import tarfile
import zipfile
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "src"
CORE = "batchflow_jobs"


def names(package: Path) -> list[str]:
    """List the files of a wheel or a source distribution."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            return wheel.namelist()
    with tarfile.open(package) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def complaints(package: Path) -> list[str]:
    """Say what is wrong with one package."""
    inside = names(package)
    found = [f"{name} does not belong in it" for name in inside if _foreign(name)]
    if not any(name.endswith("py.typed") for name in inside):
        found.append("py.typed is missing, so its types are lost")
    if package.name.startswith(CORE):
        prefix = "" if package.suffix == ".whl" else "src/"
        found += [f"{name} is missing" for name in _expected() if prefix + name not in inside]
    return found


def _expected() -> list[str]:
    """Every file of the package's folder: migrations, starter jobs and vocabulary are code too."""
    files = [path for path in SOURCES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [path.relative_to(SOURCES).as_posix() for path in files]


def _foreign(name: str) -> bool:
    parts = Path(name).parts
    is_test = "tests" in parts or parts[-1].startswith(("test_", "conftest"))
    if "scaffold" in parts:
        is_test = False  # what `batchflow plugin new` writes has tests
    return is_test or not {"__pycache__", ".batchflow", "plugins"}.isdisjoint(parts)


def main(dist: Path) -> int:
    """Complain about every package of a folder."""
    packages = sorted([*dist.glob("*.whl"), *dist.glob("*.tar.gz")])
    wrong = [f"{package.name}: {complaint}" for package in packages for complaint in complaints(package)]
    for package in packages:
        print(f"{package.name}: {len(names(package))} files, {package.stat().st_size // 1024} KiB")
    print("\n".join(wrong), file=sys.stderr, end="\n" * bool(wrong))
    return 1 if wrong or not packages else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
