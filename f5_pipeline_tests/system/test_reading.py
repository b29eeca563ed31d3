"""Files that people name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.system.reading import path_beside, read_file


def test_regular_files_are_read_to_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"12345")
    assert read_file(path, limit=5) == b"12345"
    with pytest.raises(InputError, match="more than"):
        read_file(path, limit=4)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # would wait for a writer
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(InputError, match="no regular file"):
            read_file(path)
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_file(tmp_path / "none", named_by="b.toml")
    assert caught.value.file == "b.toml"
    with pytest.raises(InputError, match="cannot be read"):
        read_file(Path("a\0b"))


def test_a_path_stays_in_the_folder_of_the_file_that_names_it(tmp_path: Path) -> None:
    outside, folder = tmp_path / "secret.txt", tmp_path / "folder"
    folder.mkdir()
    outside.write_text("x")
    (folder / "link.txt").symlink_to(outside)
    config = folder / "a.toml"
    assert path_beside(config, "sub/../b.txt", allow_outside=False) == folder.resolve() / "b.txt"
    for path in ("../secret.txt", str(outside), "link.txt"):
        with pytest.raises(InputError, match="outside") as caught:
            path_beside(config, path, allow_outside=False)
        assert "--allow-outside" in (caught.value.hint or "")
        assert path_beside(config, path, allow_outside=True) == outside.resolve()
