"""The image files in a folder, and the class of each.

PATH/cat/*.jpg  PATH/dog/*.jpg              one subfolder per class, its images directly in it
PATH/cat.0.jpg  PATH/dog.17.jpg             the class is the first word of the name
PATH/train/...  PATH/test/...               each of either kind; test may be called val, valid or validation
"""

import os
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..text import printable


SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))
# What operating systems, archivers, network storage and programs leave behind in folders, in lower case.
OF_THE_SYSTEM = frozenset(
    (
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"),
        *("$recycle.bin", "recycler", "system volume information", "msocache", "config.msi"),
        *("$windows.~bt", "$windows.~ws", "$winreagent", "$sysreset", "$getcurrent", "$extend"),
        *("__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder", "resource.frk"),
        *("lost+found", "lost.dir", "__pycache__", "~snapshot"),
        *("@eadir", "@tmp", "@sharesnap", "@synoeastream", "@synoresource", "#recycle", "#snapshot"),
        *("@recycle", "@recently-snapshot", "@__thumb", "@upload_cache", "@transcode"),
    )
)
CHKDSK = re.compile(r"found\.\d{3}")  # the folders in which Windows keeps repaired files
TEST_NAMES = ("test", "val", "valid", "validation")
LAYOUTS = "a subfolder of images for each class, or names such as cat.0.jpg, or folders train and test of either"


class Labelled(NamedTuple):
    """Image files, by their names relative to the folder, and the number of the class of each."""

    names: tuple[str, ...]
    labels: tuple[int, ...]


class Found(NamedTuple):
    """The contents of a folder."""

    classes: tuple[str, ...]
    train: Labelled
    test: Labelled | None
    skipped: Counter[str]  # how many files for each reason


class Listing(NamedTuple):
    """The entries of a folder that matter, sorted."""

    images: list[str]
    folders: list[str]


def find_images(folder: Path) -> Found:
    """The image files of a folder. Raises `InputError` unless they are of two or more classes, clearly told apart."""
    skipped = Counter()
    listing = _listing(folder, skipped)
    train, test = _train_and_test(folder, listing.folders)
    if train is None:
        by_class = _by_class(folder, "", listing, skipped)
        classes = _checked_classes(folder, by_class)
        return Found(classes, _labelled(by_class, classes), None, skipped)
    if listing.images:
        raise InputError(_both_kinds(folder, listing.images, [name for name in (train, test) if name]))
    skipped["folders beside train and test"] += len(listing.folders) - (1 if test is None else 2)
    by_class = _by_class(folder, train, _listing(folder / train, skipped), skipped)
    classes = _checked_classes(folder / train, by_class)
    if test is None:
        return Found(classes, _labelled(by_class, classes), None, skipped)
    tested = _by_class(folder, test, _listing(folder / test, skipped), skipped)
    strangers = sorted(set(tested) - set(classes))
    if strangers or not tested:
        named = ", ".join(strangers[:3])
        found = f"{len(strangers)} classes that train does not have, {named}" if tested else "no images"
        raise InputError(f"{folder / test} has {found}; expected those of {folder / train}: {', '.join(classes)}")
    return Found(classes, _labelled(by_class, classes), _labelled(tested, classes), skipped)


def is_of_the_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden or belongs to the operating system, and so is not a class.

    Example:
        >>> jaxnet.data.is_of_the_system("Thumbs.db"), jaxnet.data.is_of_the_system("cat")
        (True, False)
    """
    return name.startswith((".", "~$")) or name.lower() in OF_THE_SYSTEM or bool(CHKDSK.fullmatch(name.lower()))


def _listing(folder: Path, skipped: Counter[str]) -> Listing:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror}; expected a folder of images") from error
    images, folders = [], []
    for name in names:
        path = os.path.join(folder, name)
        suffix = os.path.splitext(name)[1].lower()
        if is_of_the_system(name):
            # Folders are named in the note, as somebody may want one of them.
            named = f": {printable(name)}" if os.path.isdir(path) and not name.startswith(".") else ""
            skipped[f"hidden files and those of the system{named}"] += 1
        elif os.path.isdir(path):
            folders.append(name)
        elif not os.path.isfile(path):
            skipped["broken links, and what is not a file"] += 1
        elif suffix not in SUFFIXES:
            skipped[f"files named *{printable(suffix)}" if suffix else "files without an extension"] += 1
        else:
            images.append(name)
    return Listing(images, folders)


def _train_and_test(folder: Path, folders: list[str]) -> tuple[str | None, str | None]:
    """The names of the folders to train and to test on, if there are any. `train` may be a class as well."""
    named = {name.lower(): name for name in folders}
    if "train" not in named:
        return None, None
    test = next((named[name] for name in TEST_NAMES if name in named), None)
    if test is not None or len(folders) == 1:
        return named["train"], test
    like_test = [name for name in folders if name.lower().startswith(TEST_NAMES)]
    if like_test:
        raise InputError(
            f"{folder} has the folders train and {like_test[0]}; expected test beside train: rename it, or pass "
            f"{folder / named['train']}, of which a part is held out for testing"
        )
    return None, None


def _by_class(root: Path, part: str, listing: Listing, skipped: Counter[str]) -> dict[str, list[str]]:
    """class -> names relative to `root` of the images in its folder `part`."""
    folder = root / part
    if not listing.folders:
        return _by_first_word(part, listing.images, skipped)
    by_class = {}
    for name in listing.folders:
        images = _of_class_folder(folder / name, skipped)
        if images:
            label = unicodedata.normalize("NFC", name)  # macOS decomposes accents, other systems do not
            by_class.setdefault(label, []).extend(os.path.join(part, name, image) for image in images)
    if listing.images and by_class:
        raise InputError(_both_kinds(folder, listing.images, listing.folders))
    return by_class or _by_first_word(part, listing.images, skipped)


def _of_class_folder(folder: Path, skipped: Counter[str]) -> list[str]:
    if not _may_be_read(folder):
        skipped["folders without permission"] += 1
        return []
    images, deeper = _listing(folder, skipped)
    for name in deeper:
        inside = folder / name
        if inside.resolve() in (folder.resolve(), *folder.resolve().parents):
            skipped["links to a folder above"] += 1
        elif _may_be_read(inside) and _listing(inside, Counter()).images:
            raise InputError(
                f"{inside} holds images, two folders below {folder.parent}; expected {LAYOUTS}: pass {folder} if its "
                "subfolders are the classes"
            )
        else:
            skipped["folders inside a class"] += 1
    if not images:
        skipped["folders without images"] += 1
    return images


def _may_be_read(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _by_first_word(part: str, images: list[str], skipped: Counter[str]) -> dict[str, list[str]]:
    by_class = {}
    for name in images:
        word = re.match(r"[^\W\d_]+", unicodedata.normalize("NFC", name))
        if word is None:
            skipped["names that do not begin with a word"] += 1
        else:
            by_class.setdefault(word.group(), []).append(os.path.join(part, name))
    return by_class


def _both_kinds(folder: Path, images: list[str], folders: list[str]) -> str:
    return (
        f"{folder} has both images ({len(images)}, such as {images[0]}) and folders of images "
        f"({', '.join(folders[:3])}{', ...' if len(folders) > 3 else ''}); expected {LAYOUTS}"
    )


def _checked_classes(folder: Path, by_class: dict[str, list[str]]) -> tuple[str, ...]:
    classes = tuple(sorted(by_class))
    if len(classes) < 2:
        found = f"one class, {classes[0]} ({len(by_class[classes[0]])})" if classes else "none"
        raise InputError(f"{folder}: found images of {found}; expected at least two classes: {LAYOUTS}")
    unprintable = [name for name in classes if not (name.strip() and name.isprintable())]
    if unprintable:
        raise InputError(f"{folder}: the class {unprintable[0]!a} cannot be printed; rename its folder")
    return classes


def _labelled(by_class: dict[str, list[str]], classes: tuple[str, ...]) -> Labelled:
    pairs = sorted((name, label) for label, text in enumerate(classes) for name in by_class.get(text, []))
    return Labelled(tuple(name for name, _ in pairs), tuple(label for _, label in pairs))
