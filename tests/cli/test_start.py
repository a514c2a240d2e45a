"""The process of a command: compiled programs are kept, and nothing else about it changes."""

import os
import subprocess
import sys

import pytest

from jaxnet.cli import main, start


FOLDER, ENABLED = start.CACHE_DIR, start.CACHE_ENABLED


def defaults(**environment: str) -> dict[str, str]:
    return start.default_environment(environment)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """The user's cache folder, for this test."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "jaxnet" / "compiled"


def test_programs_are_kept_where_only_the_user_can_write(own_folder):
    chosen = defaults()
    assert [*own_folder.iterdir()] == [own_folder / os.path.basename(chosen[FOLDER])]
    assert os.stat(chosen[FOLDER]).st_mode & 0o077 == 0
    assert chosen["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "0"


def test_what_is_set_in_the_environment_stays(own_folder, tmp_path):
    chosen = defaults(**{FOLDER: str(tmp_path / "mine"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "2"})
    assert set(chosen) == {"TF_CPP_MIN_LOG_LEVEL"}
    assert not own_folder.exists()


@pytest.mark.parametrize("off", [{ENABLED: "0"}, {ENABLED: "False"}, {FOLDER: ""}])
def test_it_can_be_switched_off(own_folder, off):
    assert defaults(**off) == {}
    assert not own_folder.exists()


def test_where_the_folder_cannot_be_used_nothing_is_kept(own_folder, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
        assert defaults() == {}
    with monkeypatch.context() as another:
        another.setattr(os, "geteuid", lambda: os.getuid() + 1, raising=False)
        assert defaults() == {}
    own_folder.rename(own_folder.with_name("aside"))
    own_folder.write_text("a file in its place")
    assert defaults() == {}
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert defaults() == {}


def test_the_oldest_programs_make_room(tmp_path):
    for age in range(5):
        file = tmp_path / f"processor_{age % 2}" / str(age)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(100))
        os.utime(file, (0, 1000 - age))
    start.remove_oldest(tmp_path, 350)
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["0", "1", "2"]
    start.remove_oldest(tmp_path, 350)
    assert len([*tmp_path.glob("*/*")]) == 3


def test_importing_the_library_keeps_nothing():
    code = "import os, jaxnet; jaxnet.train; import jax; print(jax.config.jax_compilation_cache_dir)"
    environment = {name: value for name, value in os.environ.items() if name not in (FOLDER, ENABLED)}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "None\n"


def test_commands_keep_their_programs(monkeypatch, capsys):
    prepared = []
    monkeypatch.setattr(start, "prepare", lambda: prepared.append(True))
    assert main(["predict", "no_model", "no_image"]) == 2
    assert prepared == [True]


@pytest.mark.thorough
def test_kept_or_damaged_programs_change_no_training(tmp_path):
    code = """
from jaxnet.cli import start
start.prepare()
import jax, jaxnet, numpy as np
X = np.linspace(-1, 1, 120, dtype=np.float32).reshape(3, 40)
parameters = jaxnet.initialize_parameters_deep((3, 5, 1), key=jax.random.key(0))
trained = jaxnet.train(X, X[:1] > 0, parameters, num_iterations=50, keep_prob=0.9, key=jax.random.key(1))
print({name: np.asarray(value).tobytes() for name, value in trained.parameters.items()}, trained.costs.tobytes())
"""

    def output() -> str:
        command = [sys.executable, "-W", "error", "-c", code]
        environment = os.environ | {ENABLED: "1", FOLDER: str(tmp_path)}
        answer = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (answer.returncode, answer.stderr) == (0, "")
        return answer.stdout

    new = output()
    programs = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert any("run_chunk" in path.name for path in programs)
    assert output() == new
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == programs
    for path, program in programs.items():
        path.write_bytes(program[: len(program) // 2])
    assert output() == new
