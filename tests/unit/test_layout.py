"""The import rules of the layout for C and Rust; the Python package's stand in pyproject.toml (import-linter)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BPF = sorted((ROOT / "bpf").glob("*.[ch]"))
HEADS = sorted((ROOT / "native" / "heads" / "src").rglob("*.rs"))
BORDER = sorted((ROOT / "native" / "src").rglob("*.rs"))

# Rooms are named after what is in them.
EMPTY_NAMES = {"utils", "util", "core", "common", "helpers", "helper", "manager", "engine", "misc"}


def includes(text: str) -> list[str]:
    """What a C file includes, with its quotes or brackets."""
    return re.findall(r'^[ \t]*#[ \t]*include[ \t]*(["<][^">]+[">])', text, re.MULTILINE)


def code(text: str) -> str:
    """A Rust file without its comments."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def uses(text: str, crate: str) -> bool:
    """Whether Rust code names a crate."""
    return re.search(rf"\b{crate}\b", code(text)) is not None


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_includes_are_found_however_they_are_spaced() -> None:
    assert includes('#include "a.h"\n  #  include <b/c.h>\n// #include "d.h"\n') == ['"a.h"', "<b/c.h>"]


def test_a_crate_in_a_comment_is_no_use_of_it() -> None:
    assert not uses("// libbpf_rs is elsewhere\n/* libbpf_rs\n */ let libbpf_rs_like = 1;", "libbpf_rs")
    assert uses("use libbpf_rs::Object; // yes", "libbpf_rs")


@pytest.mark.parametrize("path", BPF, ids=lambda path: path.name)
def test_kernel_c_includes_headers_only_and_none_from_elsewhere(path: Path) -> None:
    for name in includes(path.read_text(encoding="utf-8")):
        assert name.endswith((".h>", '.h"')), f"{name} is no header"
        if name.startswith('"'):
            assert (ROOT / "bpf" / name.strip('"')).is_file(), f"{name} is not in bpf/"
        else:
            known = name.startswith(("<linux/", "<bpf/")) or name in {"<stdbool.h>", "<stddef.h>"}
            assert known, f"{name} is neither the kernel's, libbpf's nor the compiler's"


def test_the_shared_header_includes_nothing_of_the_kernel_side() -> None:
    own = [name for name in includes((ROOT / "bpf" / "event.h").read_text(encoding="utf-8")) if name.startswith('"')]
    assert own == []


def test_only_the_shared_header_is_read_by_user_space() -> None:
    named = {
        header
        for path in [*HEADS, *BORDER, ROOT / "native" / "build.rs"]
        for header in re.findall(r"[\w.]+\.h\b", code(path.read_text(encoding="utf-8")))
        if (ROOT / "bpf" / header).exists()
    }
    assert named <= {"event.h"}


@pytest.mark.parametrize("path", BPF, ids=lambda path: path.name)
def test_kernel_c_names_its_licence_first(path: Path) -> None:
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    assert "SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)" in first


def test_no_header_of_all_kernel_types_is_in_the_tree() -> None:
    assert names(list((ROOT / "bpf").rglob("vmlinux*"))) == []


def test_only_the_capture_uses_libbpf() -> None:
    found = [path for path in BORDER if uses(path.read_text(encoding="utf-8"), "libbpf_rs|libbpf_sys")]
    strangers = [path for path in found if not path.relative_to(ROOT / "native" / "src").parts[0].startswith("capture")]
    assert names(strangers) == []


def test_the_parser_crate_has_no_unsafe_code_no_io_and_no_border() -> None:
    for path in HEADS:
        text = path.read_text(encoding="utf-8")
        for crate in ("libbpf_rs", "libbpf_sys", "libc", "pyo3", "arrow_array", "std::fs", "std::net::TcpStream"):
            assert not uses(text, crate), f"{path.name} uses {crate}"
        assert not re.search(r"\b(Instant|SystemTime)::now\b", code(text)), f"{path.name} reads a clock"
        assert not re.search(r"\bunsafe\s*(\{|fn|impl)", code(text)), f"{path.name} has unsafe code"
    library = (ROOT / "native" / "heads" / "src" / "lib.rs").read_text(encoding="utf-8")
    assert "#![forbid(unsafe_code)]" in library


def test_no_room_has_a_name_that_says_nothing() -> None:
    folders = ("bpf", "native/src", "native/heads/src", "src/masthead", "bench", "dev", "tests")
    rooms = [path for folder in folders for path in (ROOT / folder).rglob("*") if "target" not in path.parts]
    assert [name for path, name in zip(rooms, names(rooms), strict=True) if path.stem in EMPTY_NAMES] == []


def test_package_and_extension_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    workspace = tomllib.loads((ROOT / "native" / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]
    assert project["version"] == workspace["package"]["version"]
