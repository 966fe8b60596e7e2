from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.models import CATALOG, ModelError, ModelFile, ModelStore, resolve
from antiphon.models.catalog import FileSource, HubSource, PypiSource

SOME_SHA256 = "0" * 64


def test_the_catalog_is_complete() -> None:
    assert list(CATALOG) == ["silero-vad", "smart-turn-v3.2", "whisper-tiny.en", "smollm2-135m-instruct", "gtcrn"]
    for name, model in CATALOG.items():
        assert model.name == name
        assert model.role
        assert model.licence is not None
        assert model.licence.spdx in {"MIT", "BSD-2-Clause", "Apache-2.0"}
        assert model.size > 0
        for source in model.sources:
            assert not isinstance(source, FileSource)
            given_files = source.members if isinstance(source, PypiSource) else source.files
            assert len(given_files) == len(model.files)
            for file, given_file in zip(model.files, given_files, strict=True):
                assert given_file.endswith(file.name)


def test_every_hub_source_of_the_catalog_is_pinned_to_a_commit() -> None:
    revisions = [s.revision for model in CATALOG.values() for s in model.sources if isinstance(s, HubSource)]
    assert revisions
    assert all(len(revision) == 40 for revision in revisions)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("hf:o/r", HubSource("o/r", "main")),
        ("hf:o/r@v1.0", HubSource("o/r", "v1.0")),
        ("hf:o/r/model.gguf", HubSource("o/r", "main", ("model.gguf",))),
        ("hf:o/r@abc/some folder/m.gguf", HubSource("o/r", "abc", ("some folder/m.gguf",))),
        ("hf:o/r/en/en_US/joe/", HubSource("o/r", "main", folder="en/en_US/joe")),
        ("hf:o/r@abc/some folder/", HubSource("o/r", "abc", folder="some folder")),
        ("file:/models/m.gguf", FileSource(Path("/models/m.gguf"))),
        ("file:///models/m.gguf", FileSource(Path("/models/m.gguf"))),
    ],
)
def test_references(name: str, source: object) -> None:
    assert resolve(name).sources == (source,)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "whisper",
        "file:model.gguf",
        "hf:",
        "hf:owner",
        "hf:../..",
        "hf:o/..",
        "hf:o/r/",
        "hf:o/r/../../etc/passwd",
        "hf:o/r/a/../../b",
        "hf:o/r/a/../../b/",
        "hf:o/r/a//",
        "hf:o/r//",
        "hf:o/r//etc/passwd",
        "hf:o/r/./a",
        "hf:o/r/a\\..\\b",
        "hf:o/r@../x/y",
        "hf:o/r@/x",
    ],
)
def test_bad_names_are_refused_with_words(name: str) -> None:
    with pytest.raises(ModelError) as error:
        resolve(name)
    assert error.value.code == "unknown_model"
    assert error.value.message


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/./b", "a\\b", "a\0b", "a/"])
def test_files_of_a_model_lie_below_its_directory(name: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        ModelFile(name, 1, SOME_SHA256)


def test_a_checksum_is_a_sha256() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        ModelFile("a", 1, "abc")


PATH_CHARACTERS = st.text(alphabet="ab./\\@%:- \0é\n", min_size=1, max_size=30)


@given(PATH_CHARACTERS)
def test_no_reference_leads_out_of_the_store(rest: str) -> None:
    root = Path("/nowhere/models")
    for name in (f"hf:{rest}", f"hf:o/r/{rest}", f"hf:o/r@{rest}/file"):
        try:
            directory = ModelStore(root).state(name).directory
        except ModelError as error:
            assert error.code == "unknown_model"
        else:
            assert directory.parent == root
            assert directory.name not in ("", ".", "..")
            assert not directory.name.startswith(".")


def test_a_reference_too_long_for_a_file_system_is_refused() -> None:
    with pytest.raises(ModelError, match="too long"):
        ModelStore(Path("/nowhere")).state("hf:o/r/" + "x" * 300)
