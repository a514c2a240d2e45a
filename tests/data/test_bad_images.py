"""What people's folders hold besides good photographs: it is read right, or skipped and said, or refused and said."""

import os
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from jaxnet.data import images, load_dataset, read_image
from jaxnet.errors import InputError

from ..images import gif, png, save_cats_and_dogs, save_class, save_image, webp


SHAPE = (4, 4, 3)
COLOUR = (200, 100, 50)
NONE_OF = "it is none of JPEG, PNG"
TOLERANCE = 20  # of what is compressed with losses, or turned and resized over an edge


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def cut(path, share):
    content = path.read_bytes()
    return written(path, content[: int(len(content) * share)])


def noise(path, **options):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)).save(path, **options)
    return path


def from_array(path, values):
    Image.fromarray(values).save(path)
    return path


def animated(path):
    first, *others = (Image.new("RGB", (8, 6), colour) for colour in (COLOUR, "black", "blue"))
    first.save(path, save_all=True, append_images=others)
    return path


def clear(path, mode):
    """All of it transparent, and black below."""
    if mode == "P":
        return save_image(path, 0, mode="P", transparency=0)
    return save_image(path, (0,) * len(mode), mode=mode)


def turned(path, orientation):
    """White above, black below, as it is to be seen."""
    upright = np.repeat(np.array([255, 0], np.uint8), 32)[:, None].repeat(48, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray({6: np.rot90(upright), 3: upright[::-1], 8: np.rot90(upright, -1)}[orientation].copy()).save(
        path, exif=exif, quality=95
    )
    return path


WHITE, HALVES = 255, np.array([255, 255, 0, 0])[:, None, None]
# name -> (makes the file from a path without its ending, the pixels or the words of the message)
FILES = {
    "a JPEG": (lambda path: save_image(path.with_suffix(".jpg"), COLOUR, quality=95), COLOUR),
    "a progressive JPEG": (lambda path: save_image(path.with_suffix(".jpg"), COLOUR, progressive=True), COLOUR),
    "a large JPEG": (lambda path: save_image(path.with_suffix(".jpg"), COLOUR, (900, 700)), COLOUR),
    "a CMYK JPEG": (lambda path: save_image(path.with_suffix(".jpg"), (0, 0, 0, 0), mode="CMYK"), WHITE),
    "two images in a JPEG": (lambda path: save_image(path.with_suffix(".jpg"), COLOUR, format="MPO"), COLOUR),
    "a PNG": (lambda path: save_image(path.with_suffix(".png"), COLOUR), COLOUR),
    "a WebP": (lambda path: save_image(path.with_suffix(".webp"), COLOUR, lossless=True), COLOUR),
    "a BMP": (lambda path: save_image(path.with_suffix(".bmp"), COLOUR), COLOUR),
    "a TIFF": (lambda path: save_image(path.with_suffix(".tif"), COLOUR), COLOUR),
    "a TIFF of CMYK": (lambda path: save_image(path.with_suffix(".tif"), (0, 0, 0, 0), mode="CMYK"), WHITE),
    "a TIFF of LAB": (lambda path: save_image(path.with_suffix(".tif"), (255, 128, 128), mode="LAB"), WHITE),
    "a TIFF of pages": (lambda path: animated(path.with_suffix(".tif")), COLOUR),
    "an animated GIF": (lambda path: animated(path.with_suffix(".gif")), COLOUR),
    "an animated WebP": (lambda path: animated(path.with_suffix(".webp")), COLOUR),
    "an animated PNG": (lambda path: animated(path.with_suffix(".png")), COLOUR),
    "a PNG named .jpg": (lambda path: save_image(path.with_suffix(".jpg"), COLOUR, format="PNG"), COLOUR),
    "an uppercase ending": (lambda path: save_image(path.with_suffix(".PNG"), COLOUR), COLOUR),
    "no ending": (lambda path: save_image(path, COLOUR, format="PNG"), COLOUR),
    "1 bit": (lambda path: save_image(path.with_suffix(".png"), 1, mode="1"), WHITE),
    "16 bits, PNG": (lambda path: from_array(path.with_suffix(".png"), np.full((6, 8), 65535, np.uint16)), WHITE),
    "16 bits, TIFF": (lambda path: from_array(path.with_suffix(".tif"), np.full((6, 8), 0x8012, np.uint16)), 0x80),
    "float pixels": (lambda path: from_array(path.with_suffix(".tif"), np.ones((6, 8), np.float32)), "of mode F"),
    "32 bits": (lambda path: from_array(path.with_suffix(".tif"), np.ones((6, 8), np.int32)), "of mode I, whose range"),
    "transparent RGBA": (lambda path: clear(path.with_suffix(".png"), "RGBA"), WHITE),
    "transparent grey": (lambda path: clear(path.with_suffix(".png"), "LA"), WHITE),
    "a transparent palette": (lambda path: clear(path.with_suffix(".png"), "P"), WHITE),
    "1 x 1": (lambda path: save_image(path.with_suffix(".png"), COLOUR, (1, 1)), COLOUR),
    "1 x 5000": (lambda path: save_image(path.with_suffix(".png"), COLOUR, (1, 5000)), COLOUR),
    "5000 x 1, JPEG": (lambda path: save_image(path.with_suffix(".jpg"), COLOUR, (5000, 1)), COLOUR),
    "on its side": (lambda path: turned(path.with_suffix(".jpg"), 6), HALVES),
    "on its other side": (lambda path: turned(path.with_suffix(".jpg"), 8), HALVES),
    "on its head": (lambda path: turned(path.with_suffix(".jpg"), 3), HALVES),
    "broken EXIF": (
        lambda path: save_image(path.with_suffix(".jpg"), COLOUR, exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff" + bytes(9)),
        COLOUR,
    ),
    "EXIF of noise": (
        lambda path: save_image(path.with_suffix(".jpg"), COLOUR, exif=b"Exif\0\0" + bytes(range(90))),
        COLOUR,
    ),
    "an unknown orientation": (
        lambda path: save_image(
            path.with_suffix(".jpg"),
            COLOUR,
            exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0" + bytes(4),
        ),
        COLOUR,
    ),
    "a truncated JPEG": (lambda path: cut(noise(path.with_suffix(".jpg")), 0.5), "truncated"),
    "a truncated PNG": (lambda path: cut(noise(path.with_suffix(".png")), 0.5), "truncated"),
    "a truncated GIF": (lambda path: cut(noise(path.with_suffix(".gif")), 0.5), "truncated"),
    "a truncated BMP": (lambda path: cut(noise(path.with_suffix(".bmp")), 0.5), "truncated"),
    "a truncated TIFF": (lambda path: cut(noise(path.with_suffix(".tif")), 0.5), "cannot be read as an image"),
    "a truncated WebP": (lambda path: cut(noise(path.with_suffix(".webp")), 0.5), "cannot be read as an image"),
    "only the first bytes": (lambda path: cut(noise(path.with_suffix(".jpg")), 0.01), "cannot be read as an image"),
    "no bytes": (lambda path: written(path.with_suffix(".jpg"), b""), "it is empty"),
    "zeros": (lambda path: written(path.with_suffix(".jpg"), bytes(1000)), NONE_OF),
    "text": (lambda path: written(path.with_suffix(".jpg"), b"a web page said no"), NONE_OF),
    "a web page": (lambda path: written(path.with_suffix(".jpg"), b"<!doctype html><title>404</title>"), NONE_OF),
    "a PDF": (lambda path: written(path.with_suffix(".png"), b"%PDF-1.7\n%%EOF"), NONE_OF),
    "an EPS": (
        lambda path: written(path.with_suffix(".jpg"), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
        NONE_OF,
    ),
    "an SVG": (lambda path: written(path.with_suffix(".png"), b'<svg xmlns="http://www.w3.org/2000/svg"/>'), NONE_OF),
    "a pickle": (lambda path: written(path.with_suffix(".png"), b"cos\nsystem\n(S'exit 1'\ntR."), NONE_OF),
    "an icon": (lambda path: save_image(path.with_suffix(".ico"), COLOUR, (16, 16)), NONE_OF),
    "a PNG bomb": (lambda path: written(path.with_suffix(".png"), png(30000, 30000)), "more than 67,108,864 pixels"),
    "a smaller bomb": (lambda path: written(path.with_suffix(".png"), png(8193, 8192)), r"pixels \(8193 x 8192\)"),
    "a GIF bomb": (lambda path: written(path.with_suffix(".gif"), gif(65000, 65000)), "more than 67,108,864 pixels"),
    "a WebP bomb": (lambda path: written(path.with_suffix(".webp"), webp(16383, 16383)), "cannot be read as an image"),
    "a PNG without data": (lambda path: written(path.with_suffix(".png"), png(8, 6)), "truncated"),
    "a PNG with a wrong checksum of its header": (
        lambda path: written(path.with_suffix(".png"), png(8, 6).replace(b"\x08\0\0\0\0", b"\x08\0\0\0\1", 1)),
        "cannot be read as an image",
    ),
    "a folder named .jpg": (
        lambda path: (path.with_suffix(".jpg").mkdir(), path.with_suffix(".jpg"))[1],
        "Is a directory",
    ),
    "nothing": (lambda path: path, "No such file"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_right_or_refused(tmp_path, name):
    make, expected = FILES[name]
    path = make(tmp_path / "a")
    if isinstance(expected, str):
        with pytest.raises(InputError, match=f"{re.escape(str(path))} cannot be read as an image: .*") as raised:
            read_image(path, SHAPE)
        assert re.search(expected, str(raised.value))
    else:
        pixels = read_image(path, SHAPE)
        assert pixels.dtype == np.uint8 and pixels.shape == SHAPE
        wanted = np.broadcast_to(expected, SHAPE).astype(int)
        assert np.abs(pixels - wanted).max() <= (TOLERANCE if path.suffix in (".jpg", ".webp") else 1)


def test_decoding_is_bounded_by_bytes_not_by_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "IN_FLIGHT", images.Allowance(300_000))
    decoding, most, changed = [0], [0], threading.Lock()
    real = images._pixels

    def counted(image, input_shape, exact):
        with changed:
            decoding[0] += image.width * image.height * images.COPIES
            most[0] = max(most[0], decoding[0])
        try:
            return real(image, input_shape, exact)
        finally:
            with changed:
                decoding[0] -= image.width * image.height * images.COPIES

    monkeypatch.setattr(images, "_pixels", counted)
    small = [save_image(tmp_path / f"{i}.png", COLOUR, (80, 80)) for i in range(20)]  # 102,400 bytes while decoded
    large = save_image(tmp_path / "large.png", COLOUR, (200, 200))  # more than there are in all
    with ThreadPoolExecutor(16) as threads:
        read = list(threads.map(lambda path: images.try_image(path, SHAPE), [*small, large, *small]))
    assert all(image.pixels is not None for image in read)
    assert most[0] <= 640_000 and images.IN_FLIGHT.free == 300_000


@pytest.mark.parametrize("progressive, expected", [(False, 16 * 400 * 300), (True, 24 * 400 * 300)])
def test_what_decoding_takes_is_known_from_the_header(tmp_path, progressive, expected):
    path = save_image(tmp_path / "a.jpg", COLOUR, (400, 300), progressive=progressive)
    with Image.open(path) as image:
        assert images._decoding_bytes(image, (400, 400), False) == expected + 16 * 400 * 400
    with Image.open(path) as image:  # drafted: an eighth of each side
        assert images._decoding_bytes(image, (10, 10), False) - 8 * 400 * 300 * progressive < 16 * (101 * 76 + 100)


def test_a_image_of_the_training_size_is_unchanged(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    np.testing.assert_array_equal(read_image(from_array(tmp_path / "a.png", values), SHAPE), values)


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def beside(relative, content=b"nothing"):
    return lambda folder: written(folder / relative, content)


# name -> (what is added to four cats and four dogs, the words of a note)
SKIPPED = {
    "nothing": (lambda folder: None, r"cat\s+3\s+1$"),
    "a truncated file": (
        lambda folder: cut(noise(folder / "cat" / "x.jpg"), 0.5),
        "1 file that cannot be read: .*cat/x.jpg",
    ),
    "text as an image": (beside("dog/x.jpg"), f"that cannot be read: {NONE_OF}.*: dog/x.jpg"),
    "a bomb": (beside("dog/x.png", png(30000, 30000)), "1 file that cannot be read: it has more than 67,108,864"),
    "hidden files": (beside("cat/.hidden.jpg"), "1 hidden or system file: cat/.hidden.jpg"),
    "Thumbs.db": (beside("cat/Thumbs.db"), "1 hidden or system file: cat/Thumbs.db"),
    "a folder of macOS": (beside("__MACOSX/cat/._1.jpg"), "1 system folder named __MACOSX: __MACOSX"),
    "AppleDouble": (beside("cat/._0.png"), "1 hidden or system file"),
    "an image under two labels": (
        lambda folder: shutil.copy(folder / "cat" / "2.png", folder / "dog" / "2.png"),
        r"warning: 1 image is identical to one in another class, .*: cat/2.png \(cat\) = dog/2.png \(dog\)",
    ),
    "a device": (
        lambda folder: link(folder / "cat" / "x.jpg", "/dev/zero"),
        "1 broken link or special file: cat/x.jpg",
    ),
    "a file without end": (lambda folder: link(folder / "cat" / "x.jpg", "/proc/kmsg"), "it is empty: cat/x.jpg"),
    "a file of text outside": (
        lambda folder: link(folder / "cat" / "x.jpg", "/etc/passwd"),
        f"that cannot be read: {NONE_OF}.*: cat/x.jpg",
    ),
    "an escape sequence": (beside("cat/\x1b[2J.jpg"), r"TIFF: cat/\\x1b\[2J.jpg"),
    "a sparse file of a terabyte": (
        lambda folder: (written(folder / "cat" / "x.jpg", b""), os.truncate(folder / "cat" / "x.jpg", 2**40)),
        "1 file that cannot be read: it has more than 1,073,741,824 bytes",
    ),
    "text": (beside("cat/labels.csv"), r"1 file named \*.csv: cat/labels.csv"),
    "text beside the classes": (beside("README.txt"), r"1 file named \*.txt"),
    "photographs of a phone": (
        lambda folder: [written(folder / "cat" / f"{i}.HEIC", b"") for i in range(5)],
        r"5 files named \*.heic, to be converted to JPEG: cat/0.HEIC, cat/1.HEIC, cat/2.HEIC and 2 more",
    ),
    "a name without an ending": (beside("cat/x"), "1 file without an extension: cat/x"),
    "a link to nothing": (lambda folder: link(folder / "cat" / "x.jpg", "nowhere"), "1 broken link"),
    "links in a circle": (lambda folder: link(folder / "cat" / "x.jpg", "x.jpg"), "1 broken link"),
    "a link to above": (lambda folder: link(folder / "cat" / "x", ".."), "1 link to a folder above"),
    "a link to itself": (lambda folder: link(folder / "cat" / "x", "."), "1 link to a folder above"),
    "a folder named x.jpg": (lambda folder: (folder / "cat" / "x.jpg").mkdir(), "1 folder inside a class: cat/x.jpg"),
    "an empty folder": (lambda folder: (folder / "bird").mkdir(), "1 folder without images, ignored as a class: bird"),
    "images beside the classes": (
        lambda folder: save_class(folder, 3, form="IMG_{}.png"),
        "warning: 3 images lie beside the class folders and were skipped: IMG_0.png, IMG_1.png, IMG_2.png",
    ),
    "a pipe": (lambda folder: os.mkfifo(folder / "cat" / "x.jpg"), "1 broken link or special file"),
    "a name that is no UTF-8": (
        lambda folder: written(folder / os.fsdecode(b"cat/\xff.jpg"), b""),
        r"cannot be read: it is empty: cat/\\udcff.jpg",
    ),
    "duplicates": (
        lambda folder: save_class(folder / "cat", 4, shade=60, form="twin{}.png"),
        "warning: . test images? (is|are) also ",
    ),
}


SYSTEM = ["#recycle", "@eaDir", "@Recycle", "$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information", "lost+found"]
SYSTEM += ["LOST.DIR", ".Trash-1000", ".ipynb_checkpoints", ".AppleDouble", "RECYCLER", "#snapshot", "found.000"]


@pytest.mark.parametrize("part", ["", "train", "test"])
def test_folders_of_the_system_are_no_classes(tmp_path, part):
    save_cats_and_dogs(tmp_path / "pets" / "train", 3), save_cats_and_dogs(tmp_path / "pets" / "test", 2)
    for name in SYSTEM:
        save_class(tmp_path / "pets" / part / name, 1)
        save_class(tmp_path / "pets" / "train" / "cat" / name, 1)
    dataset = load(tmp_path / "pets")
    assert dataset.classes == ("cat", "dog") and len(dataset.train.labels) == 6 and len(dataset.test.labels) == 4
    notes = "\n".join(dataset.notes)
    assert "6 hidden or system files: " in notes
    for name in SYSTEM:
        assert name.startswith(".") or re.search(rf"2 system folders named {re.escape(name)}: ", notes)


def test_images_beside_classes_are_named(tmp_path):
    """Beside `train` and `test`, and in them."""
    for part in ("train", "test"):
        save_image(save_cats_and_dogs(tmp_path / "pets" / part) / "IMG_1.png")
    save_image(tmp_path / "pets" / "IMG_2.png")
    dataset = load(tmp_path / "pets")
    assert dataset.classes == ("cat", "dog") and len(dataset.train.labels) == len(dataset.test.labels) == 8
    loose = "train/IMG_1.png, IMG_2.png, test/IMG_1.png"
    assert f"warning: 3 images lie beside the class folders and were skipped: {loose}" in dataset.notes


@pytest.mark.parametrize("name", ["#1", "@home", "$100", "recycled", "system"])
def test_odd_names_are_classes(tmp_path, name):
    save_class(save_cats_and_dogs(tmp_path / "pets") / name, shade=99)
    assert name in load(tmp_path / "pets").classes


def load(folder, **options):
    return load_dataset(folder, test_fraction=0.25, seed=0, size=4, cache=folder.parent / "cache", **options)


@pytest.mark.parametrize("name", SKIPPED)
def test_what_is_no_image_is_skipped_and_said(tmp_path, name):
    add, words = SKIPPED[name]
    add(save_cats_and_dogs(tmp_path / "pets"))
    dataset = load(tmp_path / "pets")
    assert any(re.search(words, note) for note in dataset.notes), dataset.notes
    assert len(dataset.train.labels) + len(dataset.test.labels) == (12 if name == "duplicates" else 8)


@pytest.mark.parametrize(
    "image", ["Kätzchen/喵.png", "cat/" + "n" * 246 + ".png", "c" * 250 + "/a.png", "cat/a b'\"$(x).png"]
)
def test_any_name_that_a_file_can_have(tmp_path, image):
    save_cats_and_dogs(tmp_path / "pets")
    for number, shade in enumerate((1, 2)):
        path = tmp_path / "pets" / image
        save_image(path.with_name(f"{number}{path.name[number:]}"), (shade, 0, 0))
    dataset = load(tmp_path / "pets")
    assert len(dataset.train.labels) + len(dataset.test.labels) == 10


# name -> (makes a folder, the words of the message)
REFUSED = {
    "empty": (lambda folder: folder.mkdir(), "found no images; expected at least two classes: a subfolder"),
    "one class": (lambda folder: save_class(folder / "cat"), r"found images of one class, cat \(4\)"),
    "one class, flat": (lambda folder: save_class(folder, form="IMG_{}.png"), r"one class, IMG \(4\)"),
    "no word in the names": (
        lambda folder: save_class(folder),
        "found no classes, but 4 images whose name does not begin with a word: 0.png",
    ),
    "photographs of a phone": (
        lambda folder: [written(folder / name / "0.heic", b"") for name in ("cat", "dog")],
        r"found no images, but 2 files named \*.heic, to be converted to JPEG: cat/0.heic, dog/0.heic; expected",
    ),
    "an image beside one class": (
        lambda folder: (save_class(folder / "cat"), save_image(folder / "dog.0.png")),
        r"has both images \(1, such as dog.0.png\) and folders of images \(cat\)",
    ),
    "one image in a class": (
        lambda folder: save_class(save_cats_and_dogs(folder) / "bird", 1),
        "class bird has 1 example; expected at least two",
    ),
    "a class of damaged files": (
        lambda folder: [written(save_cats_and_dogs(folder) / "bird" / f"{i}.jpg", b"") for i in range(2)],
        "none of the 2 images of class bird can be read; bird/0.jpg: it is empty",
    ),
    "both kinds": (
        lambda folder: save_class(save_cats_and_dogs(folder), form="cow.{}.png"),
        r"has both images \(4, such as cow.0.png\) and folders of images \(cat, dog\)",
    ),
    "images beside train": (
        lambda folder: save_class(save_cats_and_dogs(folder / "train").parent, form="cow.{}.png"),
        "has both images .* and folders of images",
    ),
    "classes two folders below": (
        lambda folder: [save_cats_and_dogs(folder / part) for part in ("a", "b")],
        "a.cat holds images, two folders below",
    ),
    "a test class that is not trained": (
        lambda folder: (save_cats_and_dogs(folder / "train"), save_class(folder / "test" / "cow")),
        "test has 1 class that train does not have, cow",
    ),
    "an empty test": (
        lambda folder: (save_cats_and_dogs(folder / "train"), (folder / "test").mkdir()),
        "test has no images; expected those of .*train: cat, dog",
    ),
    "a test of damaged files": (
        lambda folder: (save_cats_and_dogs(folder / "train"), written(folder / "test" / "cat" / "0.jpg", b"")),
        "none of the 1 test images can be read; test/cat/0.jpg: it is empty",
    ),
    "Kaggle's test1": (
        lambda folder: (save_class(folder / "train", form="cat.{}.png"), save_class(folder / "test1")),
        "has the folders train and test1; expected test beside train",
    ),
    "a class that cannot be printed": (
        lambda folder: save_class(save_cats_and_dogs(folder) / "a\nb"),
        r"the class 'a\\nb' cannot be printed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_is_no_data_is_refused(tmp_path, name):
    make, words = REFUSED[name]
    make(tmp_path / "pets")
    with pytest.raises(InputError, match=words):
        load(tmp_path / "pets")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_skipped_and_said(tmp_path):
    folder = save_cats_and_dogs(tmp_path / "pets")
    save_class(folder / "bird")
    (folder / "bird").chmod(0)
    (folder / "cat" / "0.png").chmod(0)
    try:
        notes = "\n".join(load(folder).notes)
    finally:
        (folder / "bird").chmod(0o700)
    assert "1 folder without permission" in notes and "cat/0.png" in notes


@pytest.mark.parametrize("size", [0, -1, 5000])
def test_a_size_that_makes_no_sense_is_refused(tmp_path, size):
    with pytest.raises(InputError, match=f"the size of images is {size}; expected 1 to 4096 pixels"):
        load_dataset(save_cats_and_dogs(tmp_path), test_fraction=0.25, seed=0, size=size)
