"""The structure that the design promises."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import jaxnet


PACKAGE = Path(jaxnet.__file__).parent
# Each room and the rooms below it, which it may import: through their `__init__`, or a folder or file in OPEN. The
# files of the root are the mathematics of one network, and may be imported by name.
ROOMS = {
    "root": [],
    "storage": ["root"],
    "signals": ["root"],
    "diagnosis": ["root", "signals"],
    "readouts": ["root"],
    "data": ["root", "storage"],
    "training": ["root", "storage", "signals", "diagnosis"],
    "sweeps": ["root", "storage", "training"],
    "hooks": ["root", "training"],
    "model": ["root", "storage", "data"],
    "crosscheck": ["root"],
    "runs": ["root", "storage", "signals", "diagnosis", "data", "training", "model", "crosscheck"],
    "cli": ["root", "storage", "signals", "diagnosis", "data", "training", "hooks", "model", "crosscheck", "runs"],
}
# What stays a name of its own in calls, such as `durable.write`, and what needs the extras.
OPEN = {"storage.durable", "storage.tensors", "hooks.trackers", "runs.plots", "runs.report", "runs.folder"}
FILES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)
ROOT = [name for name in FILES if "." not in name and name not in ROOMS]
MATHEMATICS = [name for name in ROOT if name not in ("__init__", "__main__", "programs")]
MATHEMATICS += [name for name in FILES if name.startswith(("readouts.", "signals.", "diagnosis."))]
MATHEMATICS += ["training.covariance", "training.pairing", "training.rotation", "training.input_basis"]


def path_of(name: str) -> Path:
    file = PACKAGE.joinpath(*name.split("."))
    return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(path_of(name).read_text())


def room(name: str) -> str:
    return name.split(".")[0] if name.split(".")[0] in ROOMS else "root"


@cache
def imports(name: str) -> tuple[set[str], set[str]]:
    """The files of the package and the packages outside that a file imports, wherever in the file."""
    siblings, packages = set(), set()
    folder = [] if name == "__init__" else name.split(".")
    if not path_of(name).name.startswith("__init__"):
        folder = folder[:-1]
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = [*folder[: len(folder) - node.level + 1], *(node.module or "").split(".")]
            module = ".".join(part for part in module if part)
            files = {f"{module}.{alias.name}".lstrip(".") for alias in node.names} & set(FILES)
            siblings |= files or {module}
        elif isinstance(node, ast.ImportFrom):
            packages.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
    return siblings, packages


def calls(name: str) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}


def test_rooms_know_only_the_rooms_below_them():
    rooms = list(ROOMS)
    assert all(rooms.index(below) < rooms.index(name) for name in rooms for below in ROOMS[name])
    strangers = [
        (name, sibling)
        for name in FILES
        if name not in ("__init__", "__main__")
        for sibling in imports(name)[0]
        if room(sibling) != room(name) and room(sibling) not in ROOMS[room(name)]
    ]
    assert strangers == []


def test_a_room_is_entered_through_its_door():
    inside = [
        (name, sibling)
        for name in FILES
        for sibling in imports(name)[0]
        if room(sibling) not in (room(name), "root") and "." in sibling and sibling not in OPEN
    ]
    assert inside == []


def test_imports_make_no_circle():
    TopologicalSorter({name: imports(name)[0] for name in FILES}).prepare()


@pytest.mark.parametrize("name", MATHEMATICS)
def test_mathematics_is_quiet(name):
    _, packages = imports(name)
    allowed = {"optax"} if name in ("optimizer", "update", "readouts.preconditioner", "training.rotation") else set()
    heavy = {
        "optax",
        "matplotlib",
        "PIL",
        "skimage",
        "h5py",
        "safetensors",
        "tqdm",
        "time",
        "datetime",
        "grain",
    }
    assert packages & heavy <= allowed
    assert calls(name) & {"print", "open", "jax.random.key"} == set()


def test_only_the_outermost_steps_are_compiled():
    compiling = [name for name in FILES if "jax.jit" in path_of(name).read_text()]
    assert set(compiling) & set(MATHEMATICS) == {"update", "training.input_basis"}


@pytest.mark.parametrize(
    "package, homes",
    [
        ("PIL", ["data.images"]),
        ("h5py", ["data.hdf5"]),
        ("pyarrow", ["data.tables"]),
        ("skimage", ["data.arrays", "data.features"]),
        ("grain", ["data.prefetch"]),
        ("onnx", ["model.to_onnx"]),
        ("safetensors", ["storage.tensors"]),
        ("tensorboardX", ["hooks.trackers"]),
        ("wandb", ["hooks.trackers"]),
        ("mlflow", ["hooks.trackers"]),
        ("jinja2", ["runs.report.page"]),
        ("scipy", ["model.averaging", "sweeps.swept", "training.input_basis"]),
        ("threadpoolctl", ["training.input_basis"]),
        ("matplotlib", ["runs.plots", "runs.report.figures"]),
    ],
)
def test_a_heavy_dependency_has_one_home(package, homes):
    """Drawing has two: the figures of a run, and those inside a report."""
    assert [name for name in FILES if package in imports(name)[1]] == homes


def test_headers_of_arrays_are_read_in_one_place():
    """NumPy parses them by `ast`, which fails where two threads do so at once."""
    parsing = {"np.load", "np.lib.format.read_array", "np.lib.format.open_memmap", "ast.literal_eval"}
    assert [name for name in FILES if calls(name) & parsing] == ["storage.untrusted"]


def test_progress_is_shown_by_commands_and_where_it_is_asked_for():
    showing = [name for name in FILES if "tqdm" in imports(name)[1]]
    assert [name for name in showing if not name.startswith("cli.")] == ["training.progress"]


def test_only_the_command_line_and_print_cost_print():
    printing = [name for name in FILES if "print" in calls(name)]
    assert [name for name in printing if not name.startswith("cli")] == ["training.course"]


def test_there_is_one_loop_backward_over_the_layers():
    """The cross-check walks the layers too, by lines of its own: it would be no check of a loop that it shared.

    And KFRA carries a matrix down, not columns that belong to examples.
    """
    loops = [
        (name, node.lineno)
        for name in FILES
        if not name.startswith("crosscheck")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.For | ast.comprehension) and "reversed" in ast.unparse(node.iter)
    ]
    assert [name for name, _ in loops] == ["network", "readouts.kronecker"]


def test_the_reference_knows_nothing_of_the_backward_pass():
    reference = tree("crosscheck.backprop.reference")
    names = {node.id for node in ast.walk(reference) if isinstance(node, ast.Name)}
    assert not names & {"L_model_backward", "backpropagate", "linear_backward", "cost_and_grads"}
    gradients = {node.attr for node in ast.walk(reference) if isinstance(node, ast.Attribute)}
    assert not gradients & {"gradient", "gradient_from_AL"}


def test_importing_the_package_loads_nothing_heavy():
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
