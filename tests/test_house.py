"""The structure that the design promises."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxnet


PACKAGE = Path(jaxnet.__file__).parent
# Imports go downwards only; what stands on one floor does not know of its neighbours.
FLOORS = [
    {"types", "durable", "text", "machine", "programs", "process_tree", "members"},
    {"errors", "covariance"},
    {"untrusted", "arguments", "companions"},
    {"weighting"},
    {"parameters", "losses", "tensors", "pairing"},
    {"checks"},
    {"activations"},
    {"layers", "regularization"},
    {"feedback"},
    {"network"},
    {"update", "validation", "reduction", "readouts.pairs", "signals"},
    {"readouts.examples", "readouts.batch"},
    {"readouts.curvature", "readouts.kronecker", "readouts.clipping", "readouts.noise", "readouts.influence"},
    {"readouts.preconditioner"},
    {"readouts"},
    {"crosscheck.report", "crosscheck.steps", "crosscheck.slopes", "crosscheck.fits", "crosscheck.differences"},
    {"crosscheck.raised", "crosscheck.notebook", "crosscheck.perturbed"},
    {"crosscheck.numbers"},
    {"crosscheck.bugs.base", "crosscheck.recovery"},
    {"crosscheck.bugs.activation", "crosscheck.bugs.linear"},
    {"crosscheck.bugs.head"},
    {"crosscheck.bugs"},
    {"crosscheck.undefined"},
    {"crosscheck.explain", "crosscheck.reference"},
    {"crosscheck.points", "crosscheck.protocol", "crosscheck.arguments", "crosscheck.answers"},
    {"crosscheck.functions"},
    {"crosscheck.rules", "crosscheck.returned", "crosscheck.witnesses", "crosscheck.localization"},
    {"crosscheck.calibration"},
    {"crosscheck.verdicts"},
    {"crosscheck.backward", "crosscheck.gradient"},
    {"crosscheck.supervision", "crosscheck.trying"},
    {"crosscheck.files"},
    {"crosscheck.coursework_forward", "crosscheck.coursework_backward"},
    {"crosscheck.coursework"},
    {"crosscheck.sandbox"},
    {"crosscheck"},
    {"scaling", "angles", "diagnosis", "failure", "rotation", "prefetch", "settings", "checkpoint", "scalars", "plots"},
    {"recording"},
    {"training", "model", "data.examples", "data.pictures", "data.folders", "data.hdf5"},
    {"data.arrays", "data.cache", "exchange.export"},
    {"data.photographs", "exchange.load"},
    {"data", "exchange"},
    {"feeds"},
    {"measures", "initial"},
    {"runs"},
    {"report.record", "report.metrics"},
    {"report.figures"},
    {"report.page"},
    {"report"},
    {"run_folder"},
    {"start", "cli.options", "cli.output", "cli.pictures", "cli.stopping", "cli.streams"},
    {"cli.train_options", "cli.inspect_inputs"},
    {"cli.inspect_text"},
    {"cli.check", "cli.predict", "cli.train", "cli.export", "cli.bring", "cli.inspect"},
    {"cli"},
    {"__main__", "__init__"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MATHEMATICS = ["parameters", "activations", "losses", "layers", "regularization", "feedback", "network", "update"]
MATHEMATICS += ["checks", "members", "reduction", "angles", "diagnosis", "signals", "companions", "weighting"]
READOUTS = ["pairs", "examples", "batch", "curvature", "kronecker", "clipping", "noise", "influence", "preconditioner"]
MATHEMATICS += [f"readouts.{name}" for name in READOUTS]
FILES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def path_of(name: str) -> Path:
    file = PACKAGE.joinpath(*name.split("."))
    return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")


def tree(name: str) -> ast.Module:
    return ast.parse(path_of(name).read_text())


def imports(name: str) -> tuple[set[str], set[str]]:
    """The files of the package and the packages outside that a file imports, wherever in the file."""
    siblings, packages = set(), set()
    folder = [] if name == "__init__" else name.split(".")
    if not path_of(name).name.startswith("__init__"):
        folder = folder[:-1]
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = folder[: len(folder) - node.level + 1]
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            siblings |= {".".join([*above, module]) for module in modules}
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
    allowed = {"optax"} if name in ("update", "readouts.preconditioner") else set()
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
    assert set(compiling) & set(MATHEMATICS) == {"update"}


@pytest.mark.parametrize(
    "package, homes",
    [
        ("PIL", ["data.pictures"]),
        ("h5py", ["data.hdf5"]),
        ("skimage", ["data.arrays"]),
        ("grain", ["prefetch"]),
        ("safetensors", ["tensors"]),
        ("tensorboardX", ["scalars"]),
        ("jinja2", ["report.page"]),
        ("scipy", ["reduction"]),
        ("threadpoolctl", ["reduction"]),
        ("matplotlib", ["plots", "report.figures"]),
    ],
)
def test_a_heavy_dependency_has_one_home(package, homes):
    """Drawing has two: the pictures of a run, and those inside a report."""
    assert [name for name in FILES if package in imports(name)[1]] == homes


def test_headers_of_arrays_are_read_in_one_place():
    """NumPy parses them by `ast`, which fails where two threads do so at once."""
    parsing = {"np.load", "np.lib.format.read_array", "np.lib.format.open_memmap", "ast.literal_eval"}
    assert [name for name in FILES if calls(name) & parsing] == ["untrusted"]


def test_progress_is_shown_by_commands():
    assert all(name.startswith("cli.") for name in FILES if "tqdm" in imports(name)[1])


def test_only_the_command_line_prints_and_the_courses_print_cost():
    printing = [name for name in FILES if "print" in calls(name)]
    assert [name for name in printing if not name.startswith("cli")] == ["training"]


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


def test_the_reference_of_the_crosscheck_knows_nothing_of_the_backward_pass_under_test():
    names = {node.id for node in ast.walk(tree("crosscheck.reference")) if isinstance(node, ast.Name)}
    assert not names & {"L_model_backward", "backpropagate", "linear_backward", "cost_and_grads"}
    gradients = {node.attr for node in ast.walk(tree("crosscheck.reference")) if isinstance(node, ast.Attribute)}
    assert not gradients & {"gradient", "gradient_from_AL"}


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
