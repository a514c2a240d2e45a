"""Folders of images become rows on disk, made once."""

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from jaxnet.data import MappedRows, cache, images, load_dataset, read_image
from jaxnet.data.cache import cache_folder
from jaxnet.errors import InputError

from ..images import save_cats_and_dogs, save_class, save_image


def load(folder, **options):
    return load_dataset(
        folder, **{"test_fraction": 0.25, "seed": 0, "size": 4, "cache": folder.parent / "cache", **options}
    )


@pytest.fixture
def pets(tmp_path) -> Path:
    return save_cats_and_dogs(tmp_path / "pets")


@pytest.fixture
def counted(pets):
    """Loads the pets: how many images were decoded for it, and the dataset."""

    def count(**options):
        calls = []
        dataset = load(pets, on_image=lambda done, total: calls.append((done, total)), **options)
        assert calls == [(done + 1, len(calls)) for done in range(len(calls))]
        return len(calls), dataset

    return count


def test_exact_decoding_is_cached_by_itself(tmp_path, counted, pets):
    for name in ("cat/large.jpg", "dog/large.jpg"):
        noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((90, 90), Image.Resampling.BICUBIC).save(pets / name)
    counts, datasets = zip(*(counted(exact_decoding=exact) for exact in (False, True, True, False)), strict=True)
    assert counts == (10, 10, 0, 0) and datasets[0].fingerprint != datasets[1].fingerprint
    assert [dataset.fingerprint for dataset in datasets] == [datasets[i].fingerprint for i in (0, 1, 1, 0)]
    for exact, dataset in enumerate(datasets[:2]):
        rows = dict(zip(dataset.train.names, dataset.train.rows[:], strict=True))
        rows |= dict(zip(dataset.test.names, dataset.test.rows[:], strict=True))
        expected = read_image(pets / "cat/large.jpg", (4, 4, 3), exact=bool(exact)).ravel()
        np.testing.assert_array_equal(rows["cat/large.jpg"], expected)


def test_nothing_is_held_out_where_no_fraction_is_given(pets):
    dataset = load(pets, test_fraction=None)
    assert len(dataset.train.labels) == 8 and len(dataset.test.labels) == len(dataset.test.rows) == 0


@pytest.mark.parametrize("grey", [False, True])
def test_rows_are_the_pixels_of_the_files(pets, grey):
    dataset = load(pets, grey=grey)
    shape = (4, 4) if grey else (4, 4, 3)
    assert dataset.input_shape == shape and dataset.classes == ("cat", "dog")
    assert isinstance(dataset.train.rows, MappedRows) and dataset.train.rows.dtype == np.uint8
    assert dataset.train.rows.shape == (6, np.prod(shape)) and dataset.test.rows.shape == (2, np.prod(shape))
    for examples in (dataset.train, dataset.test):
        for row, label, name in zip(examples.rows[:], examples.labels, examples.names, strict=True):
            np.testing.assert_array_equal(row, read_image(pets / name, shape).ravel())
            assert Path(name).parts[0] == dataset.classes[label]
    assert sorted(dataset.train.names + dataset.test.names) == sorted(
        f"{c}/{i}.png" for c in dataset.classes for i in range(4)
    )


def test_every_layout_is_the_same_data(tmp_path):
    flat, sides, mixed = (tmp_path / name for name in ("flat", "sides", "mixed"))
    for shade, name in ((60, "cat"), (190, "dog")):
        save_class(flat, shade=shade, form=name + ".{}.png")
        save_class(sides / "train" / name, shade=shade)
        save_class(sides / "test" / name, shade=shade + 1)
        save_class(mixed / "Train" / name, shade=shade)
        save_class(mixed / "validation", shade=shade + 1, form=name + "_{}.png")
    whole = load(flat)
    assert whole.classes == ("cat", "dog") and len(whole.train.labels) == 6 and len(whole.test.labels) == 2
    first, second = load(sides), load(mixed)
    assert len(first.train.labels) == len(first.test.labels) == 8
    np.testing.assert_array_equal(first.train.rows[:], second.train.rows[:])
    np.testing.assert_array_equal(first.test.rows[:], second.test.rows[:])


def test_a_train_folder_alone_holds_out_a_part(tmp_path):
    save_cats_and_dogs(tmp_path / "pets" / "train")
    dataset = load(tmp_path / "pets")
    assert dataset.classes == ("cat", "dog") and len(dataset.test.labels) == 2


def test_mapped_rows_are_read_when_indexed(pets):
    rows = load(pets).train.rows
    everything = rows[:]
    assert len(rows) == 6 and everything.shape == rows.shape and not isinstance(everything, np.memmap)
    for which in ([4, 0], np.array([5, 5]), slice(1, 3)):
        np.testing.assert_array_equal(rows[which], everything[which])
    taken = rows.take(np.array([3, 1]))
    np.testing.assert_array_equal(taken[[1]], everything[[1]])
    assert rows[[]].shape == (0, 48) and rows.take([]).shape == (0, 48)


def test_rows_outlive_the_name_of_their_file_but_not_its_bytes(pets):
    rows = load(pets).train.rows
    everything = rows[:]
    rows.path.rename(rows.path.with_name("elsewhere"))
    np.testing.assert_array_equal(rows[:], everything)
    os.truncate(rows.path.with_name("elsewhere"), 100)
    with pytest.raises(InputError, match="rows was cut off while it was read; start again"):
        rows[:]


def test_threads_read_rows_at_once(pets):
    rows = load(pets).train.rows
    everything, generator = rows[:], np.random.default_rng(0)
    some = [generator.integers(len(rows), size=5) for _ in range(500)]
    with ThreadPoolExecutor(8) as threads:
        for which, read in zip(some, threads.map(rows.__getitem__, some), strict=True):
            np.testing.assert_array_equal(read, everything[which])


def test_the_second_time_nothing_is_decoded(counted):
    (first, one), (second, two) = counted(), counted()
    assert (first, second) == (8, 0) and one.fingerprint == two.fingerprint and one.notes == two.notes
    assert counted(seed=1)[0] == 0 and counted(test_fraction=0.5)[0] == 0
    assert counted(size=5)[0] == 8 and counted(grey=True)[0] == 8


CHANGES = {
    "a file's content": lambda pets: save_image(pets / "cat" / "0.png", (1, 2, 3)),
    "a new file": lambda pets: save_image(pets / "cat" / "new.png", (1, 2, 3)),
    "a file removed": lambda pets: (pets / "cat" / "0.png").unlink(),
    "a name": lambda pets: (pets / "cat" / "0.png").rename(pets / "cat" / "00.png"),
    "a class": lambda pets: (pets / "cat").rename(pets / "lion"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_folder_is_another_entry(pets, counted, change):
    _, before = counted()
    CHANGES[change](pets)
    decoded, after = counted()
    assert decoded >= 7 and after.fingerprint != before.fingerprint


def test_a_folder_that_moved_is_the_same(tmp_path, pets):
    before = load(pets)
    moved = pets.rename(tmp_path / "animals")
    after = load(moved, on_image=lambda done, total: pytest.fail("decoded again"))
    assert after.fingerprint == before.fingerprint


@pytest.mark.parametrize("seed, fraction, same", [(0, 0.25, True), (1, 0.25, False), (0, 0.5, False)])
def test_the_fingerprint_tells_splits_apart(pets, seed, fraction, same):
    assert (load(pets).fingerprint == load(pets, seed=seed, test_fraction=fraction).fingerprint) is same


SPOILT = {
    "no manifest": lambda entry: (entry / "manifest.json").unlink(),
    "half a manifest": lambda entry: os.truncate(entry / "manifest.json", 40),
    "another manifest": lambda entry: (entry / "manifest.json").write_text("[1, 2]"),
    "half of the rows": lambda entry: os.truncate(entry / "rows", 200),
    "no rows": lambda entry: os.truncate(entry / "rows", 0),
    "an empty entry": lambda entry: (shutil.rmtree(entry), entry.mkdir()),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_spoilt_entry_is_made_anew(pets, counted, spoil):
    _, before = counted()
    SPOILT[spoil](before.train.rows.path.parent)
    decoded, after = counted()
    assert decoded == 8
    np.testing.assert_array_equal(after.train.rows[:], read_all(pets, after.train.names))


def flip(path, generator):
    content = bytearray(path.read_bytes())
    for place in generator.integers(len(content), size=generator.integers(1, 4)):
        content[place] ^= 1 << generator.integers(8)
    path.write_bytes(content)


def zero(path, generator):
    content = bytearray(path.read_bytes())
    start = generator.integers(len(content) - 16)
    content[start : start + 16] = bytes(16)
    path.write_bytes(content)


def swap_rows(path, generator):
    rows = np.frombuffer(path.read_bytes(), np.uint8).reshape(8, -1)
    path.write_bytes(np.roll(rows, generator.integers(1, 8), axis=0).tobytes())


# Of an entry's rows, its manifest, and the folder of an entry of other images.
DAMAGES = {
    "bits of rows": lambda rows, manifest, other, generator: flip(rows, generator),
    "bits of the manifest": lambda rows, manifest, other, generator: flip(manifest, generator),
    "zeros in rows": lambda rows, manifest, other, generator: zero(rows, generator),
    "zeros in the manifest": lambda rows, manifest, other, generator: zero(manifest, generator),
    "the end of rows": lambda rows, manifest, other, generator: os.truncate(rows, generator.integers(8) * 48),
    "more rows": lambda rows, manifest, other, generator: rows.write_bytes(rows.read_bytes() + bytes(48)),
    "rows in another order": lambda rows, manifest, other, generator: swap_rows(rows, generator),
    "rows of others": lambda rows, manifest, other, generator: shutil.copy(other / "rows", rows),
    "a manifest of others": lambda rows, manifest, other, generator: shutil.copy(other / "manifest.json", manifest),
    "all of others": lambda rows, manifest, other, generator: shutil.copytree(other, rows.parent, dirs_exist_ok=True),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_entry_is_never_trained_on(pets, counted, name):
    save_image(pets / "cat" / "bad.png").write_bytes(b"")  # a row that is blank
    before = counted()[1]
    others = load(save_cats_and_dogs(pets.parent / "others", m=5))
    rows, manifest = before.train.rows.path, before.train.rows.path.with_name("manifest.json")
    for seed in range(4):
        kept = rows.read_bytes(), manifest.read_bytes()
        DAMAGES[name](rows, manifest, others.train.rows.path.parent, np.random.default_rng(seed))
        if (rows.read_bytes(), manifest.read_bytes()) == kept:
            continue
        decoded, after = counted()
        assert decoded == 9 and after.notes[0].startswith("warning: decoded images that were kept had been damaged")
        assert str(rows.parent) in after.notes[0] and after.notes[1:] == before.notes
        assert (rows.read_bytes(), manifest.read_bytes()) == kept and after.fingerprint == before.fingerprint
    assert counted()[0] == 0


def test_what_becomes_unreadable_is_not_filed(pets, counted, monkeypatch):
    opened = images.open_file
    failing = [pets / "cat" / "1.png"]

    def open_file(path):
        if path in failing and len(seen) > 8:  # after the hashes
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        seen.append(path)
        return opened(path)

    seen = []
    with monkeypatch.context() as patched:
        patched.setattr(images, "open_file", open_file)
        decoded, damaged = counted()
    assert decoded == 8 and len(damaged.train.labels) + len(damaged.test.labels) == 7
    assert "skipped   1 file that cannot be read: Input/output error: cat/1.png" in damaged.notes
    decoded, whole = counted()
    assert decoded == 8 and len(whole.train.labels) + len(whole.test.labels) == 8


def test_a_changing_file_is_filed_as_what_was_decoded(pets, counted, monkeypatch):
    changing, hashed = pets / "dog" / "3.png", cache.content_of

    def content_of(path):
        content = hashed(path)
        if path == changing:
            save_image(changing, (9, 9, 9))
        return content

    with monkeypatch.context() as patched:
        patched.setattr(cache, "content_of", content_of)
        first, before = counted()
    second, after = counted()
    assert (first, second) == (8, 0) and before.fingerprint == after.fingerprint


def read_all(folder, names):
    return np.stack([read_image(folder / name, (4, 4, 3)).ravel() for name in names])


def test_of_two_runs_that_start_at_once_the_first_is_kept(pets):
    inner = []

    def other_run(done, total):
        if done == total:
            inner.append(load(pets))

    outer = load(pets, on_image=other_run)
    assert outer.fingerprint == inner[0].fingerprint
    assert [path.name for path in (pets.parent / "cache").iterdir()] == [outer.train.rows.path.parent.name]


def test_an_interrupted_run_leaves_nothing(pets, counted):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(pets, on_image=interrupt)
    assert [*(pets.parent / "cache").iterdir()] == []
    assert counted()[0] == 8


def test_only_leftovers_of_killed_runs_are_removed(pets):
    """A process that writes holds a lock, and the system lets go of it when that is killed."""
    cache = pets.parent / "cache"
    for name in ("killed", "written"):
        (cache / f"{name}.partial").mkdir(parents=True)
    code = (
        "import sys, time; from filelock import FileLock\n"
        f"with FileLock({str(cache / 'killed.partial.lock')!r}): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        writer.kill()
    with FileLock(cache / "written.partial.lock"):
        load(pets)
        left = {path.name for path in cache.iterdir() if "partial" in path.name}
    assert left == {"written.partial", "written.partial.lock"}


def test_a_full_disk_is_said_and_nothing_stays(pets, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:  # a disk of a chosen size needs root
        patched.setattr(cache, "sync", full)
        with pytest.raises(InputError, match="cannot be kept in .*cache: No space left on device; make room, or set"):
            load(pets)
    assert [*(pets.parent / "cache").iterdir()] == []


def test_a_cache_that_is_a_file_is_refused(pets):
    (pets.parent / "cache").write_text("")
    with pytest.raises(InputError, match="cannot be kept in .*cache: "):
        load(pets)


def test_the_place_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXNET_CACHE", raising=False)
    assert cache_folder(None).parts[-2:] == ("jaxnet", "pictures")
    monkeypatch.setenv("JAXNET_CACHE", str(tmp_path / "a"))
    assert cache_folder(None) == tmp_path / "a" and cache_folder(tmp_path / "b") == tmp_path / "b"


def test_photographs(shared_data, tmp_path):
    """Some of the real ones."""
    for part, numbers in (("train", range(1, 400)), ("test", range(4001, 4400))):
        for name in ("cat", "dog"):
            files = [shared_data / "photos" / part / name / f"{name}.{number}.jpg" for number in numbers]
            for file in [file for file in files if file.exists()][:4]:
                target = tmp_path / "photos" / part / name / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(file)
    dataset = load(tmp_path / "photos", size=64)
    assert dataset.train.rows.shape == (8, 12288) and dataset.test.rows.shape == (8, 12288)
    assert 60 < dataset.train.rows[:].mean() < 180 and dataset.train.rows[:].std() > 30
    assert dataset.notes[0].split() == ["class", "train", "test"] and dataset.notes[1].split() == ["cat", "4", "4"]
    assert "warning" not in " ".join(dataset.notes)
