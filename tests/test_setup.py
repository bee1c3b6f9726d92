# SPDX-License-Identifier: GPL-3.0-or-later
"""Set-up, installation by CMake and `semcom doctor`, as a user meets them."""

import os
import re
import shutil
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import gnuradio.semcom
from gnuradio.semcom import doctor

TREE = Path(gnuradio.semcom.__file__).resolve().parents[2]
if not (TREE / "tools/setup.sh").is_file():
    pytest.skip("the module under test is not in its source tree", allow_module_level=True)


def run(*command, **options):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=150, **options)


def environment(**changes):
    return {k: v for k, v in {**os.environ, **changes}.items() if v is not None}


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """Prefix of an installation made from a copy of the source that is gone afterwards."""
    base = tmp_path_factory.mktemp("cmake")
    source, prefix = base / "source", base / "prefix"
    unwanted = shutil.ignore_patterns(".git", ".venv", "build*", "out", "__pycache__", "*.so", ".*_cache")
    shutil.copytree(TREE, source, ignore=unwanted)
    configured = run(
        "cmake", "-S", source, "-B", base / "build", f"-DCMAKE_INSTALL_PREFIX={prefix}",
        f"-DPYTHON_EXECUTABLE={sys.executable}",
    )  # fmt: skip
    assert configured.returncode == 0, configured.stderr
    for step in (("--build", base / "build", "--parallel", 2), ("--install", base / "build")):
        done = run("cmake", *step)
        assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(source)
    shutil.rmtree(base / "build")
    return prefix


def module_folder(prefix):
    (package,) = prefix.glob("**/gnuradio/semcom")
    return package.parents[1]


def test_an_installed_module_is_complete_without_its_source(installation):
    folder = module_folder(installation)
    program = (
        "from gnuradio.semcom import __file__, kernels, paths, zoo; kernels.library();"
        "print(__file__); print(paths.grc_blocks()); print(*zoo.model.roots())"
    )
    done = run(sys.executable, "-P", "-c", program, env=environment(PYTHONPATH=str(folder)), cwd=installation)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(str(installation)) for line in done.stdout.splitlines()), done.stdout
    shipped = {p.relative_to(TREE / "python/semcom") for p in (TREE / "python/semcom").rglob("*") if p.is_file()}
    installed = {p.relative_to(folder / "gnuradio/semcom") for p in (folder / "gnuradio/semcom").rglob("*")}
    assert {p for p in shipped if "__pycache__" not in p.parts} <= installed


@pytest.mark.parametrize("folder", ["models", "examples"])
def test_an_installation_holds_every_model_and_example(installation, folder):
    wanted = {p.relative_to(TREE) for p in (TREE / folder).rglob("*") if p.is_file() and p.suffix != ".pyc"}
    share = installation / "share/gr-semcom"
    assert wanted
    assert wanted <= {p.relative_to(share) for p in share.rglob("*")}


def test_an_installed_command_needs_no_environment(installation):
    done = run(installation / "bin/semcom", "doctor", env=environment(PYTHONPATH=None, GRC_BLOCKS_PATH=None))
    assert str(installation / "share/gr-semcom/models") in done.stdout, done.stdout + done.stderr
    assert str(installation / "share/gnuradio/grc/blocks") in done.stdout


def test_configuring_names_missing_python_packages_and_how_to_get_them(tmp_path):
    """Debian's own interpreter has no ONNX Runtime, for no Debian 12 package brings it."""
    bare = run("/usr/bin/python3", "-I", "-c", "import onnxruntime")
    if bare.returncode == 0:
        pytest.skip("this system's own Python has ONNX Runtime")
    done = run("cmake", "-S", TREE, "-B", tmp_path, "-DPYTHON_EXECUTABLE=/usr/bin/python3")
    assert done.returncode == 0, done.stderr
    assert re.search(r"lacks Python packages.*onnxruntime", " ".join(done.stderr.split()))
    assert "--system-site-packages" in done.stderr


def test_a_second_set_up_skips_everything_and_is_fast():
    if not (TREE / ".venv/packages-full").is_file():
        pytest.skip("this tree was not set up by `make setup`")
    run(TREE / "tools/setup.sh", "demo")
    begun = time.perf_counter()
    done = run(TREE / "tools/setup.sh", "demo")
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - begun < 2
    assert done.stderr == ""


def test_without_root_set_up_names_the_missing_debian_packages_in_one_line(tmp_path):
    """Commands that stand in for a user without root on a system that has only make and g++."""
    stand_ins = {
        "id": "echo 1000",
        "sudo": "exit 1",
        "dpkg-query": "echo 'installed:make installed:g++ not-installed:cmake '",
    }
    for name, body in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run(TREE / "tools/setup.sh", "demo", env=environment(PATH=path), stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "apt-get install gnuradio gir1.2-gtk-3.0 python3-venv cmake" in line
    assert "make" not in line.split("install", 1)[1].replace("cmake", "")


def test_set_up_refuses_an_unknown_profile():
    done = run(TREE / "tools/setup.sh", "everything")
    assert (done.returncode, done.stderr) == (2, "usage: tools/setup.sh demo|full|speech\n")


def test_make_help_lists_every_target():
    text = (TREE / "Makefile").read_text()
    (declared,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    done = run("make", "--no-print-directory", "-C", TREE, "help")
    assert {line.split()[1] for line in done.stdout.splitlines()} == set(declared.split())


def test_every_dependency_is_pinned_exactly():
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    names = {*project["dependencies"], *sum(project["optional-dependencies"].values(), [])}
    lines = [line for line in (TREE / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    pins = dict(line.split("==") for line in lines)
    assert names <= set(pins)
    assert pins["numpy"].startswith("1.")
    assert pins["torch"] == "2.13.0"


def test_scripts_can_be_executed():
    for script in ("tools/setup.sh", "tools/cross_check.sh", "tools/fresh_check.sh", ".ci/run"):
        assert (TREE / script).stat().st_mode & stat.S_IXUSR, script
        assert run("bash", "-n", TREE / script).returncode == 0


def test_doctor_finds_all_that_a_link_needs():
    assert [row for row in doctor.report() if not row[2]] == []


def test_doctor_tells_a_changed_model_instead_of_failing(tmp_path, monkeypatch):
    folder = tmp_path / "ncsc/broken"
    folder.mkdir(parents=True)
    (folder / "part.onnx").write_bytes(b"not what the card says")
    (folder / "card.yml").write_text('files: {part.onnx: "0000"}\n')
    monkeypatch.setenv("SEMCOM_MODELS", str(tmp_path))
    (row,) = [row for row in doctor.report() if row[0] == "model: ncsc/broken"]
    assert not row[2]
    assert "sha256" in row[1]


def test_doctor_names_a_missing_optional_package_and_its_purpose(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", (("no-such", "no_such_module", "figures"), ("gone", "gone_module", "")))
    rows = {row[0]: row for row in doctor.report()}
    assert rows["no-such"] == ("no-such", "not installed, only needed for figures", True)
    assert not rows["gone"][2]
