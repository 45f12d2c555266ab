"""The house rules that a machine can check: floors, names, packaging, quick imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNEXPLAINED = {"__version__"}  # no concept of its own
FLOORS = [
    {"errors", "expect", "files", "tensorflow_log", "units"},
    {"config"},
    {"data"},
    {"blocks", "run"},
    {"training"},
    {"spaces"},
    {"calibration", "ensembles"},
    {"export", "searchers"},
    {"progress", "tables", "leaderboard", "loading"},
    {
        "recommender",
        "learned",
        "repeat",
        "experiment",
        "steps",
        "arguments",
        "identity",
        "effort",
        "transfer",
    },
    {"cli", "demo", "__main__"},
]


def floor_of(module: str) -> int:
    name = module.split(".")[1]
    return next(number for number, names in enumerate(FLOORS) if name in names)


def sources() -> list[tuple[str, Path]]:
    found = []
    for path in sorted((ROOT / "autorec").rglob("*.py")):
        found.append((".".join(path.relative_to(ROOT).with_suffix("").parts), path))
    for folder in ("blocks", "searchers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.append((".".join(("autorec", *path.relative_to(ROOT).with_suffix("").parts)), path))
    return [(name.removesuffix(".__init__"), path) for name, path in dict(found).items() if name != "autorec.__init__"]


def imported(path: Path, at_once: bool = False) -> set[str]:
    """Returns what a module imports of autorec; `at_once` leaves out what its functions import when they are called."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "autorec" else {node.module}
            )
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("autorec.")}


@pytest.mark.parametrize(("module", "path"), sources())
def test_a_module_imports_only_from_its_floor_or_below(module: str, path: Path) -> None:
    above = {name for name in imported(path) if floor_of(name) > floor_of(module)}
    assert not above, f"{module} imports {sorted(above)} from a floor above its own"


def test_the_floors_are_the_ones_that_contributors_read() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE))
    assert {int(floor): set(re.findall(r"`(\w+)`", names)) for floor, names in rows.items()} == dict(
        enumerate(FLOORS, start=1)
    )
    known = {path.stem for path in (ROOT / "autorec").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert set().union(*FLOORS) == known - {"__init__", "__pycache__"}


def test_the_reference_names_what_is_public() -> None:
    import autorec

    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for module in (autorec, autorec.blocks, autorec.spaces, autorec.searchers, autorec.data, autorec.training):
        section = text.split(f"## `{module.__name__}`\n")[1].split("\n## ")[0]
        missing = [name for name in module.__all__ if f"`{name}`" not in section and name not in UNEXPLAINED]
        assert not missing, f"docs/reference.md does not name {missing} of {module.__name__}"


def test_no_circle_of_imports_between_modules() -> None:
    edges = {module: imported(path, at_once=True) for module, path in sources()}
    known = set(edges)
    state: dict[str, int] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert state.get(module) != 1, f"circle: {' -> '.join((*trail, module))}"
        if state.get(module) == 2:
            return
        state[module] = 1
        for target in edges[module]:
            if target in known and target != module:
                visit(target, (*trail, module))
        state[module] = 2

    for module in known:
        visit(module, ())


def test_blocks_do_not_import_tensorflow() -> None:
    for path in (ROOT / "blocks").glob("*.py"):
        assert "tensorflow" not in path.read_text(encoding="utf-8"), path.name


def test_importing_autorec_loads_no_heavy_package() -> None:
    code = "import sys, autorec; print([m for m in ('tensorflow','keras','polars','sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_blocks_and_searchers_are_imported_under_autorec_only() -> None:
    code = (
        "import sys, autorec; autorec.blocks; autorec.searchers;"
        "print('blocks' in sys.modules or 'searchers' in sys.modules, 'autorec.blocks' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_public_names_are_the_listed_ones() -> None:
    import autorec

    listed = (ROOT / "tests" / "public_names.txt").read_text(encoding="utf-8").split()
    assert autorec.__all__ == listed
    assert all(getattr(autorec, name) is not None for name in listed)


@pytest.mark.long
def test_the_wheel_holds_one_top_level_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), str(ROOT)], check=True
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"autorec"}
    assert "autorec/blocks/mlp.py" in names
    assert "autorec/searchers/greedy.py" in names
    assert "autorec/py.typed" in names
