"""The structure that the design promises."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxnet


PACKAGE = Path(jaxnet.__file__).parent
FLOORS = [
    {"errors", "types"},
    {"parameters", "activations", "losses"},
    {"layers"},
    {"network"},
    {"update", "crosscheck", "validation"},
    {"training", "model", "plots", "data"},
    {"runs"},
    {"cli"},
    {"__main__", "__init__"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MATHEMATICS = ["parameters", "activations", "losses", "layers", "network", "update", "crosscheck"]
FILES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def tree(name: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{name}.py").read_text())


def imports(name: str) -> tuple[set[str], set[str]]:
    """The siblings and the packages that a file imports, wherever in the file."""
    siblings, packages = set(), set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom) and node.level:
            siblings |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
    return siblings, packages


def calls(name: str) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}


def test_every_file_has_its_floor():
    assert set(FILES) == set(FLOOR)


@pytest.mark.parametrize("name", FILES)
def test_imports_go_downwards(name):
    siblings, _ = imports(name)
    assert {sibling for sibling in siblings if FLOOR[sibling] >= FLOOR[name]} == set()


@pytest.mark.parametrize("name", MATHEMATICS)
def test_mathematics_is_quiet(name):
    _, packages = imports(name)
    allowed = {"optax"} if name == "update" else set()
    heavy = {"optax", "matplotlib", "PIL", "skimage", "h5py", "safetensors", "tqdm", "time", "datetime"}
    assert packages & heavy <= allowed
    assert calls(name) & {"print", "open", "jax.random.key"} == set()


def test_only_the_outermost_steps_are_compiled():
    compiling = [name for name in FILES if "jax.jit" in (PACKAGE / f"{name}.py").read_text()]
    assert set(compiling) & set(MATHEMATICS) == {"update", "crosscheck"}


@pytest.mark.parametrize("package, home", [("PIL", "data"), ("h5py", "data"), ("matplotlib", "plots"), ("tqdm", "cli")])
def test_a_heavy_dependency_has_one_home(package, home):
    assert [name for name in FILES if package in imports(name)[1]] == [home]


def test_only_the_command_line_prints_and_the_courses_print_cost():
    assert [name for name in FILES if "print" in calls(name)] == ["cli", "training"]


def test_there_is_one_loop_backward_over_the_layers():
    loops = [
        (name, node.lineno)
        for name in ("layers", "network", "update", "training", "losses")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.For) and "reversed" in ast.unparse(node.iter)
    ]
    assert [name for name, _ in loops] == ["network"]


def test_importing_the_package_does_not_wait_for_jax_and_using_it_loads_nothing_heavier():
    code = (
        "import sys, jaxnet\n"
        "assert 'jax' not in sys.modules\n"
        "jaxnet.L_model_forward, jaxnet.train\n"
        "print(sorted({'jax', 'optax', 'matplotlib', 'PIL', 'skimage', 'h5py', 'tqdm'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "['jax', 'optax']\n"


@pytest.mark.parametrize("name", jaxnet.__all__)
def test_every_public_name_is_there_and_explained(name):
    written = getattr(jaxnet, name).__doc__ or ""
    assert written and not written.startswith(f"{name}(")  # which Python writes for a NamedTuple
