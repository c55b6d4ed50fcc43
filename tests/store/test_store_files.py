from __future__ import annotations

from pathlib import Path

import pytest

from mediaserver.errors import LocalError
from mediaserver.store.files import Files, UnsafePath


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "recordings").mkdir(parents=True)
    (tmp_path / "secret.wav").write_bytes(b"secret")
    return tmp_path / "data"


def test_a_path_of_ours_is_found_whether_or_not_the_file_is_there(data: Path) -> None:
    files = Files(data)
    for suffix in ("wav", "mp3", "mp4"):
        expected = data.resolve() / "recordings" / "ab" / f"abc.{suffix}"
        assert files.resolve(f"recordings/ab/abc.{suffix}") == expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "/etc/passwd",
        "/secret.wav",
        "../secret.wav",
        "recordings/../../secret.wav",
        "recordings/..",
        "..\\secret.wav",
        "recordings/a.wav\0.txt",
        "a\0.wav",
        "mediaserver.sqlite3",
        "journal/speak.journal",
        "recordings/a.wav/..",
        "recordings/\ud800.wav",
    ],
)
def test_a_path_that_is_no_recordings_is_refused(data: Path, path: str) -> None:
    with pytest.raises(UnsafePath):
        Files(data).resolve(path)


def test_a_link_that_leads_out_is_refused(data: Path) -> None:
    (data / "recordings" / "file.wav").symlink_to(data.parent / "secret.wav")
    (data / "recordings" / "folder").symlink_to(data.parent)
    (data / "recordings" / "loop.wav").symlink_to(data / "recordings" / "loop.wav")
    (data / "mediaserver.sqlite3").write_bytes(b"")
    (data / "recordings" / "database.wav").symlink_to(data / "mediaserver.sqlite3")
    for path in ("file.wav", "folder/secret.wav", "loop.wav", "database.wav"):
        with pytest.raises(UnsafePath):
            Files(data).resolve(f"recordings/{path}")


def test_the_data_directory_itself_may_be_a_link(data: Path) -> None:
    link = data.parent / "link"
    link.symlink_to(data)
    assert Files(link).resolve("recordings/a.wav") == data.resolve() / "recordings" / "a.wav"


def test_free_space_is_known_or_an_error_says_why(data: Path) -> None:
    space = Files(data).space()
    assert 0 < space.free <= space.total
    with pytest.raises(LocalError, match="No such file"):
        Files(data / "absent").space()
