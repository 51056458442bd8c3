"""lince-client: a wheel of its own, which another project uses without the rest of Lince."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from client.gateway.version import VERSION

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, sys
import httpx
from lince_client import AsyncClient, BrokenImageError, Client, VERSION

RESULT = {"label": "cat", "probability": 1.0}
BROKEN = {"type": "urn:lince:problem:broken-image", "title": "t", "status": 400, "detail": "d"}
ANSWER = {"model": "m", "version": "1", "results": [RESULT, {"problem": BROKEN}]}

def gateway(request):
    assert request.headers["User-Agent"] == f"lince-client/{VERSION}"
    return httpx.Response(200, json=ANSWER)

async def ask():
    async with AsyncClient("http://gateway", transport=transport) as client:
        return await client.classify([b"1", b"2"], "m")

transport = httpx.MockTransport(gateway)
with Client("http://gateway", transport=transport) as client:
    answers = [client.classify([b"1", b"2"], "m"), asyncio.run(ask())]
for good, bad in answers:
    assert good.label == "cat" and isinstance(bad, BrokenImageError)
print(VERSION, *sys.modules)
"""


def run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "client", folder / "client")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *options, "-w", folder, folder / "client", cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def needed(name: str, found: set[str]) -> set[str]:
    """The names of a distribution and all that it needs here."""
    found.add(name)
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name not in found:
            needed(requirement.name, found)
    return found


def link(name: str, folder: Path) -> None:
    """Makes an installed distribution importable from a folder, and no other."""
    tops = {Path(file).parts[0] for file in distribution(name).files or ()}
    for top in tops - {"..", "__pycache__"}:
        (folder / top).symlink_to(distribution(name).locate_file(top))


def test_the_wheel_holds_one_package(wheel: Path) -> None:
    assert wheel.name == f"lince_client-{VERSION}-py3-none-any.whl"
    info = f"lince_client-{VERSION}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"{info}/METADATA").decode()
    sources = {
        f"lince_client/{file.name}"
        for file in (ROOT / "client" / "gateway").iterdir()
        if file.suffix in (".py", ".typed")
    }
    assert {name for name in names if not name.startswith(f"{info}/")} == sources
    assert f"{info}/licenses/LICENSE" in names
    required = re.findall(r"^Requires-Dist: ([a-z-]+)(?!.*extra ==)", metadata, re.MULTILINE)
    assert sorted(required) == ["httpx", "msgspec"]


def test_another_project_uses_it(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    options = ("--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    top = {path.name for path in site.iterdir()}
    assert top == {"lince_client", f"lince_client-{VERSION}.dist-info"}
    for name in needed("httpx", set()) | needed("msgspec", set()):
        link(name, site)
    version, *modules = run(python, "-W", "error", "-I", "-c", PROGRAM, cwd=tmp_path).split()
    assert version == VERSION
    loaded = {module.partition(".")[0] for module in modules}
    assert "lince_client" in loaded
    assert not loaded & {"client", "contract", "lince", "tensorflow", "numpy", "PIL", "grpc"}


def test_both_distributions_are_of_one_version() -> None:
    """The main one takes its version from the same file."""
    assert distribution("lince").version == VERSION
