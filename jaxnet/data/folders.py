"""The image files in a folder, and the class of each.

PATH/cat/*.jpg  PATH/dog/*.jpg              one subfolder per class, its images directly in it
PATH/cat.0.jpg  PATH/dog.17.jpg             the class is the first word of the name
PATH/train/...  PATH/test/...               each of either kind; test may be called val, valid or validation
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ..errors import InputError
from ..text import counted, printable


SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))
# Photographs as phones and cameras write them, which are not read.
TO_CONVERT = frozenset((".heic", ".heif", ".avif", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"))
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
SHOWN = 3  # names of files in a note; the others are counted
CONVERT = ", to be converted to JPEG"
WORDLESS = ("image", "whose name does not begin with a word")
TEST_NAMES = ("test", "val", "valid", "validation")
LAYOUTS = "a subfolder of images for each class, or names such as cat.0.jpg, or folders train and test of either"


Reason: TypeAlias = tuple[str, str]  # a noun in the singular, and the rest: "file", "named *.txt"
Skipped: TypeAlias = dict[Reason, list[str]]  # the names of what was skipped


class Labelled(NamedTuple):
    """Image files, by their names relative to the folder, and the number of the class of each."""

    names: tuple[str, ...]
    labels: tuple[int, ...]


class Found(NamedTuple):
    """The contents of a folder."""

    classes: tuple[str, ...]
    train: Labelled
    test: Labelled | None
    skipped: Skipped
    loose: tuple[str, ...]  # images beside the folders of the classes


class Listing(NamedTuple):
    """The entries of a folder that matter, sorted."""

    images: list[str]
    folders: list[str]


def find_images(folder: Path) -> Found:
    """The image files of a folder. Raises `InputError` unless they are of two or more classes, clearly told apart."""
    skipped, loose = {}, []
    listing = _listing(folder, "", skipped)
    train, test = _train_and_test(folder, listing.folders)
    part = train or ""
    by_class = _by_class(folder, part, _listing(folder, train, skipped) if train else listing, skipped, loose)
    if train and listing.images:
        loose += _loose(folder, listing.images, by_class, [name for name in (train, test) if name])
    classes = _checked_classes(folder / part, by_class, skipped)
    if train and test:
        _skip(skipped, ("folder", "beside train and test"), *(set(listing.folders) - {train, test}))
    if test is None:
        return Found(classes, _labelled(by_class, classes), None, skipped, tuple(loose))
    tested = _by_class(folder, test, _listing(folder, test, skipped), skipped, loose)
    strangers = sorted(set(tested) - set(classes))
    if strangers or not tested:
        named = ", ".join(strangers[:3])
        unknown = f"{len(strangers)} class{'es' * (len(strangers) > 1)} that train does not have, {named}"
        found = unknown if tested else "no images"
        raise InputError(f"{folder / test} has {found}; expected those of {folder / part}: {', '.join(classes)}")
    return Found(classes, _labelled(by_class, classes), _labelled(tested, classes), skipped, tuple(loose))


def is_of_the_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden or belongs to the operating system, and so is not a class.

    Example:
        >>> jaxnet.data.is_of_the_system("Thumbs.db"), jaxnet.data.is_of_the_system("cat")
        (True, False)
    """
    return name.startswith((".", "~$")) or name.lower() in OF_THE_SYSTEM or bool(CHKDSK.fullmatch(name.lower()))


def few(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    Example:
        >>> jaxnet.data.folders.few(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    shown = ", ".join(printable(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN:,} more"


def _skip(skipped: Skipped, reason: Reason, *names: str) -> None:
    if names:
        skipped.setdefault(reason, []).extend(sorted(names))


def _listing(root: Path, part: str, skipped: Skipped) -> Listing:
    """The entries of the folder `part` of `root`."""
    folder = root / part
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror}; expected a folder of images") from error
    images, folders = [], []
    for name in names:
        path = os.path.join(folder, name)
        if is_of_the_system(name):
            # Each name of a folder is in a note of its own, as somebody may want one of them.
            named = ("system folder", f"named {printable(name)}")
            is_named = os.path.isdir(path) and not name.startswith(".")
            _skip(skipped, named if is_named else ("hidden or system file", ""), os.path.join(part, name))
        elif os.path.isdir(path):
            folders.append(name)
        elif not os.path.isfile(path):
            _skip(skipped, ("broken link or special file", ""), os.path.join(part, name))
        elif os.path.splitext(name)[1].lower() not in SUFFIXES:
            _skip(skipped, _other_kind(name), os.path.join(part, name))
        else:
            images.append(name)
    return Listing(images, folders)


def _other_kind(name: str) -> Reason:
    suffix = os.path.splitext(name)[1].lower()
    if not suffix:
        return "file", "without an extension"
    return "file", f"named *{printable(suffix)}{CONVERT if suffix in TO_CONVERT else ''}"


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


def _by_class(root: Path, part: str, listing: Listing, skipped: Skipped, loose: list[str]) -> dict[str, list[str]]:
    """class -> names relative to `root` of the images in its folder `part`."""
    if not listing.folders:
        return _by_first_word(part, listing.images, skipped)
    by_class = {}
    for name in listing.folders:
        images = _of_class_folder(root, os.path.join(part, name), skipped)
        if images:
            label = unicodedata.normalize("NFC", name)  # macOS decomposes accents, other systems do not
            by_class.setdefault(label, []).extend(os.path.join(part, name, image) for image in images)
    if listing.images and by_class:
        loose += (os.path.join(part, name) for name in _loose(root / part, listing.images, by_class, list(by_class)))
    return by_class or _by_first_word(part, listing.images, skipped)


def _loose(folder: Path, images: list[str], by_class: dict[str, list[str]], folders: list[str]) -> list[str]:
    """Images beside folders of images, which belong to no class: raises `InputError` where they could be one."""
    if len(by_class) < 2 or len(images) >= min(map(len, by_class.values())):
        raise InputError(
            f"{folder} has both images ({len(images)}, such as {images[0]}) and folders of images "
            f"({', '.join(folders[:3])}{', ...' if len(folders) > 3 else ''}); expected {LAYOUTS}"
        )
    return images


def _of_class_folder(root: Path, part: str, skipped: Skipped) -> list[str]:
    folder = root / part
    if not _may_be_read(folder):
        _skip(skipped, ("folder", "without permission to read"), part)
        return []
    images, deeper = _listing(root, part, skipped)
    for name in deeper:
        inside = folder / name
        if inside.resolve() in (folder.resolve(), *folder.resolve().parents):
            _skip(skipped, ("link", "to a folder above"), os.path.join(part, name))
        elif _may_be_read(inside) and _listing(root, os.path.join(part, name), {}).images:
            raise InputError(
                f"{inside} holds images, two folders below {folder.parent}; expected {LAYOUTS}: pass {folder} if its "
                "subfolders are the classes"
            )
        else:
            _skip(skipped, ("folder", "inside a class"), os.path.join(part, name))
    if not images:
        _skip(skipped, ("folder", "without images, ignored as a class"), part)
    return images


def _may_be_read(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _by_first_word(part: str, images: list[str], skipped: Skipped) -> dict[str, list[str]]:
    by_class = {}
    for name in images:
        word = re.match(r"[^\W\d_]+", unicodedata.normalize("NFC", name))
        if word is None:
            _skip(skipped, WORDLESS, os.path.join(part, name))
        else:
            by_class.setdefault(word.group(), []).append(os.path.join(part, name))
    return by_class


def _checked_classes(folder: Path, by_class: dict[str, list[str]], skipped: Skipped) -> tuple[str, ...]:
    classes = tuple(sorted(by_class))
    if len(classes) < 2:
        found = "no classes" if WORDLESS in skipped else "no images"
        if classes:
            found = f"images of one class, {classes[0]} ({len(by_class[classes[0]])})"
        raise InputError(f"{folder}: found {found}{_almost_images(skipped)}; expected at least two classes: {LAYOUTS}")
    unprintable = [name for name in classes if not (name.strip() and name.isprintable())]
    if unprintable:
        raise InputError(f"{folder}: the class {unprintable[0]!a} cannot be printed; rename its folder")
    return classes


def _almost_images(skipped: Skipped) -> str:
    """What was skipped that the user may take for images of a class."""
    almost = [(reason, names) for reason, names in skipped.items() if reason == WORDLESS or reason[1].endswith(CONVERT)]
    return "".join(f", but {counted(len(names), noun)} {rest}: {few(names)}" for (noun, rest), names in almost)


def _labelled(by_class: dict[str, list[str]], classes: tuple[str, ...]) -> Labelled:
    pairs = sorted((name, label) for label, text in enumerate(classes) for name in by_class.get(text, []))
    return Labelled(tuple(name for name, _ in pairs), tuple(label for _, label in pairs))
