# SPDX-License-Identifier: Apache-2.0
"""Downloading weights from a server on this machine: resumed, interrupted, a different file, an archive, no space."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
import sys
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import vfss_training.teachers.download
from small_server import Server, serving
from vfss.errors import TrainingError
from vfss_training.cli import teachers as teachers_cli
from vfss_training.cli.app import application
from vfss_training.teachers.download import download
from vfss_training.teachers.table import TEACHERS
from vfss_training.teachers.weights import verified_file


def saved(*values: float, name: str = "a", **options: object) -> bytes:
    """Return a file as torch.save writes it, of 1,024,000 bytes of tensors for each value."""
    out = io.BytesIO()
    torch.save({f"{name}{i}": torch.full((256, 1000), value) for i, value in enumerate(values)}, out, **options)
    return out.getvalue()


CONTENT = bytes(range(256)) * 4000
WEIGHTS, OTHER = saved(1.0), saved(2.0)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ENTRY = replace(TEACHERS["mobile-sam"], file="file.bin", bytes=len(CONTENT), sha256=SHA256)
UNKNOWN = replace(ENTRY, bytes=0, sha256="")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Server(CONTENT)) as running:
        yield running


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupt_download(server: Server, folder: Path, entry=ENTRY, after: int = 300_000) -> None:
    """Start a download whose connection is interrupted."""
    server.content = CONTENT if entry is ENTRY else WEIGHTS
    server.cut_after = after
    with pytest.raises(TrainingError, match="was interrupted"):
        download(entry, folder, url=server.url)
    server.cut_after = None
    assert (folder / "file.bin.part").stat().st_size == after


def test_a_file_is_complete_and_progress_is_reported(server: Server, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    path = download(
        ENTRY, tmp_path / "new", url=server.url, progress=lambda done, total: progress.append((done, total))
    )
    assert path == tmp_path / "new" / "file.bin" and path.read_bytes() == CONTENT
    assert progress[0] == (0, len(CONTENT)) and progress[-1] == (len(CONTENT), len(CONTENT))
    assert names(tmp_path / "new") == ["file.bin"]
    assert download(ENTRY, tmp_path / "new", url="http://127.0.0.1:9/") == path
    assert len(server.requests) == 1


def test_an_interrupted_connection_reports_the_bytes_received_and_continues_from_there(
    server: Server, tmp_path: Path
) -> None:
    server.cut_after = 300_000
    with pytest.raises(TrainingError) as error:
        download(ENTRY, tmp_path, url=server.url)
    for part in ("300,000 of 1,024,000", "same command", "127.0.0.1", "file.bin.part"):
        assert part in str(error.value)
    server.cut_after = 100_000
    with pytest.raises(TrainingError, match="400,000 of 1,024,000"):
        download(ENTRY, tmp_path, url=server.url)
    server.cut_after = None
    assert download(ENTRY, tmp_path, url=server.url).read_bytes() == CONTENT
    assert server.requests == ["", "bytes=300000-", "bytes=400000-"]
    assert names(tmp_path) == ["file.bin"]


def test_a_server_without_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    interrupt_download(server, tmp_path)
    server.ranges = False
    assert download(ENTRY, tmp_path, url=server.url).read_bytes() == CONTENT


@pytest.mark.parametrize("change", [{"etag": '"two"'}, {"shift": 7}, {"etag": ""}])
def test_a_part_of_another_file_is_not_continued(server: Server, tmp_path: Path, change: dict[str, object]) -> None:
    interrupt_download(server, tmp_path, UNKNOWN)
    server.content = OTHER
    for name, value in change.items():
        setattr(server, name, value)
    assert download(UNKNOWN, tmp_path, url=server.url).read_bytes() == OTHER


def test_without_a_hash_or_a_validator_no_parts_are_combined(server: Server, tmp_path: Path) -> None:
    server.etag = ""
    interrupt_download(server, tmp_path, UNKNOWN)
    assert download(UNKNOWN, tmp_path, url=server.url).read_bytes() == WEIGHTS
    assert server.requests == ["", ""]


def test_a_part_that_is_longer_than_the_file_is_started_again(server: Server, tmp_path: Path) -> None:
    interrupt_download(server, tmp_path)
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    assert download(ENTRY, tmp_path, url=server.url).read_bytes() == CONTENT


def test_a_part_of_another_address_is_started_again(server: Server, tmp_path: Path) -> None:
    interrupt_download(server, tmp_path)
    assert download(ENTRY, tmp_path, url=f"{server.url}?mirror").read_bytes() == CONTENT
    assert server.requests == ["", ""]


def test_a_complete_part_is_not_requested_again(server: Server, tmp_path: Path) -> None:
    interrupt_download(server, tmp_path)
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert download(ENTRY, tmp_path, url=server.url).read_bytes() == CONTENT
    assert server.requests == [""]


def test_a_different_file_is_removed_and_reported(server: Server, tmp_path: Path) -> None:
    server.content = b"x" * len(CONTENT)
    with pytest.raises(TrainingError, match=f"they were removed: .* not {SHA256}") as error:
        download(ENTRY, tmp_path, url=server.url)
    assert ENTRY.source in str(error.value)
    assert names(tmp_path) == []
    server.content = CONTENT
    assert download(ENTRY, tmp_path, url=server.url).read_bytes() == CONTENT


def test_a_file_of_another_size_is_refused_before_it_is_received(server: Server, tmp_path: Path) -> None:
    server.content = b"short"
    with pytest.raises(TrainingError, match="a different file: 5 bytes, not 1,024,000"):
        download(ENTRY, tmp_path, url=server.url)


def test_a_hash_may_be_md5(server: Server, tmp_path: Path) -> None:
    entry = replace(ENTRY, sha256="", md5=hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
    assert download(entry, tmp_path, url=server.url).is_file()
    (tmp_path / "file.bin").write_bytes(b"other")
    with pytest.raises(TrainingError, match="md5 is"):
        verified_file(entry, tmp_path)


def test_an_unknown_hash_is_noted_at_first_and_checked_afterwards(server: Server, tmp_path: Path) -> None:
    server.content = WEIGHTS
    assert names(download(UNKNOWN, tmp_path, url=server.url).parent) == ["file.bin", "file.bin.json"]
    assert verified_file(UNKNOWN, tmp_path) == tmp_path / "file.bin"
    (tmp_path / "file.bin").write_bytes(b"other")
    noted = hashlib.sha256(WEIGHTS).hexdigest()
    with pytest.raises(TrainingError, match=f"not {noted} as noted at its first use") as refused:
        verified_file(UNKNOWN, tmp_path)
    assert "Move it away or delete it and file.bin.json" in refused.value.remedy
    assert "vfss-train download mobile-sam" in refused.value.remedy
    (tmp_path / "file.bin").unlink()
    server.content = OTHER
    with pytest.raises(TrainingError, match=r"they were removed: .* as noted at its first use") as refused:
        download(UNKNOWN, tmp_path, url=server.url)
    assert f"Delete {tmp_path / 'file.bin.json'} if the new file is the right one" in refused.value.remedy


def test_a_file_saved_by_hand_is_noted_at_its_first_use(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(WEIGHTS)
    verified_file(UNKNOWN, tmp_path)
    (tmp_path / "file.bin").write_bytes(OTHER)
    with pytest.raises(TrainingError, match="noted at its first use"):
        verified_file(UNKNOWN, tmp_path)


def packed(data: bytes) -> bytes:
    """Return an archive with its members compressed, which claims to be a thousand times as large."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    return out.getvalue().ljust(100_000, b" ")


class Executed:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("/tmp/vfss-teacher-executed"),)


IMPLAUSIBLE = {
    "a web page": (b"<!DOCTYPE html>" * 10_000, "not readable as weights|damaged"),
    "an error": (b"not found", "it has 9 bytes"),
    "zeros": (bytes(1_000_000), "not readable as weights|damaged"),
    "cut": (WEIGHTS[:-1000], "archive is damaged"),
    "packed": (packed(WEIGHTS), "archive is (damaged|packed)"),
    "other tensors": (saved(1.0, name="b"), "it has no tensor 'a0'"),
    "code": (pickle.dumps(Executed()).ljust(100_000, b" "), "more than tensors"),
}


@pytest.mark.parametrize("kind", IMPLAUSIBLE)
def test_a_file_without_a_known_hash_must_be_plausible_before_its_hash_is_noted(
    server: Server, tmp_path: Path, kind: str
) -> None:
    server.content, reason = IMPLAUSIBLE[kind]
    entry = replace(UNKNOWN, signs=("a0",))
    with pytest.raises(TrainingError, match=reason) as refused:
        download(entry, tmp_path, url=server.url)
    assert names(tmp_path) == [] and "vfss-train download mobile-sam" in refused.value.remedy
    (tmp_path / "file.bin").write_bytes(server.content)
    with pytest.raises(TrainingError, match=reason) as refused:
        verified_file(entry, tmp_path)
    assert names(tmp_path) == ["file.bin"] and "Move it away or delete it" in refused.value.remedy
    assert not Path("/tmp/vfss-teacher-executed").exists()


@pytest.mark.parametrize("length", ["many", "-5", "1e9", "0x10", "1_000", "9" * 40, "½"])
def test_a_length_that_is_no_number_is_refused(server: Server, tmp_path: Path, length: str) -> None:
    server.length = length
    with pytest.raises(TrainingError, match="announces a length that is no number"):
        download(ENTRY, tmp_path, url=server.url)


def test_a_length_that_is_a_lie_keeps_nothing_wrong(server: Server, tmp_path: Path) -> None:
    server.length = "1024001"
    with pytest.raises(TrainingError, match="a different file: 1,024,001 bytes"):
        download(ENTRY, tmp_path, url=server.url)
    server.content, server.length = WEIGHTS, str(len(WEIGHTS) + 1)
    with pytest.raises(TrainingError, match="was interrupted"):
        download(UNKNOWN, tmp_path, url=server.url)
    server.length = str(5 << 30)
    with pytest.raises(TrainingError, match="no weights of a teacher have more"):
        download(UNKNOWN, tmp_path, url=server.url)
    server.length = "70000"
    with pytest.raises(TrainingError, match="they were removed"):
        download(UNKNOWN, tmp_path, url=server.url)
    assert names(tmp_path) == []


@pytest.mark.parametrize("location", ["http://localhost:9/x", "ftp://127.0.0.1/x", "http://example.org/x"])
def test_a_server_may_send_on_to_encrypted_addresses_only(server: Server, tmp_path: Path, location: str) -> None:
    server.location = location
    with pytest.raises(TrainingError, match="is not encrypted"):
        download(ENTRY, tmp_path, url=server.url)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "data:,x", "javascript:1", "//"])
def test_a_server_may_not_send_on_to_what_is_no_server(server: Server, tmp_path: Path, location: str) -> None:
    server.location = location
    with pytest.raises(TrainingError):
        download(ENTRY, tmp_path, url=server.url)
    assert not (tmp_path / "file.bin").exists()


def test_a_file_of_the_user_is_not_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"mine")
    with pytest.raises(TrainingError, match="Move it away"):
        download(ENTRY, tmp_path, url=server.url)
    assert (tmp_path / "file.bin").read_bytes() == b"mine" and server.requests == []


def zip_archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def test_a_member_of_an_archive_is_extracted(server: Server, tmp_path: Path) -> None:
    entry = replace(ENTRY, member="model.bin")
    server.content = zip_archive(folder__model=b"", pretrained__x=b"y", **{"pretrained__model.bin": CONTENT})
    server.cut_after = 500
    with pytest.raises(TrainingError, match="500 of"):
        download(entry, tmp_path, url=server.url)
    server.cut_after = None
    assert download(entry, tmp_path, url=server.url).read_bytes() == CONTENT
    assert server.requests == ["", "bytes=500-"] and names(tmp_path) == ["file.bin"]


@pytest.mark.parametrize(
    "content",
    [b"no archive", zip_archive(other=b"z"), zip_archive(a__m=b"1", b__m=b"2"), zip_archive(m=bytes(5_000_000))],
)
def test_an_archive_without_the_member_is_refused(server: Server, tmp_path: Path, content: bytes) -> None:
    server.content = content
    with pytest.raises(TrainingError, match="no archive with m"):
        download(replace(ENTRY, member="m"), tmp_path, url=server.url)
    assert names(tmp_path) == []


def test_a_file_address_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "there.bin").write_bytes(CONTENT)
    (tmp_path / "file.bin.part").write_bytes(b"half")
    path = download(ENTRY, tmp_path, url=(tmp_path / "there.bin").as_uri())
    assert path.read_bytes() == CONTENT


def test_a_server_that_sends_no_length_is_accepted(server: Server, tmp_path: Path) -> None:
    server.length = False
    assert download(ENTRY, tmp_path, url=server.url).read_bytes() == CONTENT


def test_refusals_and_invalid_addresses_are_reported(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(TrainingError, match=r"answers 404 .* Or get file.bin from https://github.com/ChaoningZhang"):
        download(ENTRY, tmp_path, url=server.url)
    with pytest.raises(TrainingError, match=r"cannot reach 127.0.0.1 .*Check the connection"):
        download(ENTRY, tmp_path, url="http://127.0.0.1:9/file.bin")
    with pytest.raises(TrainingError, match="cannot download 'ftp:"):
        download(ENTRY, tmp_path, url="ftp://127.0.0.1/file.bin")


def test_a_download_can_be_stopped_and_continued(server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(ENTRY, tmp_path, url=server.url, progress=stop)
    received = (tmp_path / "file.bin.part").stat().st_size
    assert received > 200_000
    assert download(ENTRY, tmp_path, url=server.url).read_bytes() == CONTENT
    assert server.requests[-1] == f"bytes={received}-"


def test_missing_space_is_reported_before_anything_is_received(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(TrainingError, match="the disk is full"):
        download(ENTRY, tmp_path, url=server.url)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /dev/full")
def test_a_disk_that_becomes_full_is_reported(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").symlink_to("/dev/full")
    with pytest.raises(TrainingError, match="the disk is full"):
        download(ENTRY, tmp_path, url=server.url)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_reported(server: Server, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(TrainingError, match="cannot write"):
        download(ENTRY, tmp_path, url=server.url)


@pytest.fixture
def table(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Put a teacher whose weights are on that server into the table."""
    monkeypatch.setitem(TEACHERS, "mobile-sam", replace(ENTRY, url=server.url))
    monkeypatch.setenv("COLUMNS", "400")
    return server


def test_the_commands_list_teachers_name_the_licence_and_download(table: Server, tmp_path: Path) -> None:
    run = CliRunner()
    before = run.invoke(application, ["teachers", "--folder", str(tmp_path)])
    assert before.exit_code == 0 and all(name in before.output for name in TEACHERS)
    assert "ask the authors" in " ".join(before.output.replace("│", " ").split())
    downloaded = run.invoke(application, ["download", "mobile-sam", "--folder", str(tmp_path)])
    assert downloaded.exit_code == 0, downloaded.output
    assert downloaded.output.index("Licence: Apache-2.0") < downloaded.output.index("right hash")
    assert teachers_cli.presence(TEACHERS["mobile-sam"], tmp_path) == "yes"
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    (tmp_path / "file.bin").write_bytes(b"other")
    assert teachers_cli.presence(TEACHERS["mobile-sam"], tmp_path) == "another file, 5 bytes"


def test_the_command_reports_errors_in_a_line_and_the_bytes_received_when_stopped(
    table: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner()
    assert run.invoke(application, ["download", "huge-sam"]).exit_code == 1
    table.cut_after = 5000
    interrupted = run.invoke(application, ["download", "mobile-sam", "--folder", str(tmp_path)])
    assert interrupted.exit_code == 1 and "5,000 of 1,024,000" in " ".join(interrupted.output.split())
    assert teachers_cli.presence(TEACHERS["mobile-sam"], tmp_path) == "begun, 5,000 bytes"

    def stopped(*parts: object, **named: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(vfss_training.cli.teachers, "download", stopped)
    ended = run.invoke(application, ["download", "mobile-sam", "--folder", str(tmp_path)])
    assert ended.exit_code == 130 and "begun, 5,000 bytes" in ended.output
