# SPDX-License-Identifier: GPL-3.0-or-later
"""The block descriptions for Companion: they load, their imports are light, and they compile."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gnuradio.semcom.paths import grc_blocks, grc_environment

FILES = sorted(grc_blocks().glob("semcom_*.block.yml"))
HEAVY = ("torch", "onnxruntime", "av", "matplotlib", "PIL", "skimage", "scipy")
DTYPES = {"byte": "uint8", "float": "float32", "complex": "complex64"}


def description(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def block_class(block: dict) -> type:
    module, name, alias = re.fullmatch(r"from (\S+) import (\S+) as (\S+)", block["templates"]["imports"]).groups()
    assert alias == block["id"]
    return getattr(importlib.import_module(module), name)


def test_ids_are_unique_and_match_the_file_names_and_the_tree():
    ids = [description(path)["id"] for path in FILES]
    assert ids == [path.name.removesuffix(".block.yml") for path in FILES]
    tree = yaml.safe_load((grc_blocks() / "semcom.tree.yml").read_text())
    assert list(tree) == ["[Semantic Communication]"]
    assert sorted(tree["[Semantic Communication]"]) == ids


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.split(".")[0])
def test_descriptions_agree_with_the_class(path):
    block = description(path)
    cls = block_class(block)
    parameters = {entry["id"] for entry in block.get("parameters", []) if entry["dtype"] != "gui_hint"}
    made = set(re.findall(r"(\w+)=", block["templates"]["make"]))
    assert made == parameters
    for callback in block["templates"].get("callbacks", []):
        setter, used = re.fullmatch(r'(\w+)\("?\$\{(\w+)\}"?\)', callback).groups()
        assert callable(getattr(cls, setter))
        assert used in parameters and setter == f"set_{used}"
    setters = {name.removeprefix("set_") for name in vars(cls) if name.startswith("set_")}
    listed = {c.split("(")[0].removeprefix("set_") for c in block["templates"].get("callbacks", [])}
    assert setters & parameters <= listed
    assert block["flags"] == ["python"] and block["documentation"] and "doc_url" not in block


def default_of(entry: dict) -> object:
    text = str(entry["default"])
    return {"int": int, "real": float, "bool": lambda value: value == "True"}.get(entry["dtype"], str)(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.split(".")[0])
def test_defaults_make_a_block_with_the_described_ports(path):
    block = description(path)
    entries = [entry for entry in block.get("parameters", []) if entry["dtype"] != "gui_hint"]
    values = {entry["id"]: default_of(entry) for entry in entries}
    made = block_class(block)(**values)
    for direction, count in (("inputs", made.input_count), ("outputs", made.output_count)):
        ports = [port for port in block.get(direction, []) if port["domain"] == "stream"]
        shown = [p for p in ports if "hide" not in p or not eval(p["hide"][2:-1], {}, values)]
        assert len(shown) == count
    if hasattr(made, "_readers"):
        every = block.get("inputs", [])
        gone = ["hide" in port and eval(port["hide"][2:-1], {}, values) for port in every]
        inputs = [p for p, away in zip(every, gone, strict=True) if not away or "symbols" in p["hide"]]
        types = [port["dtype"] for port in inputs if port["domain"] == "stream"]
        sizes = [DTYPES[eval(name[2:-1], {}, values) if name.startswith("${") else name] for name in types]
        assert sizes == [reader.port.dtype.__name__ for reader in made._readers]


def test_imports_are_light():
    lines = [description(path)["templates"]["imports"] for path in FILES]
    program = "\n".join(
        [*lines, "import sys, json", "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert not set(HEAVY) & set(json.loads(done.stdout))


def flowgraph(folder: Path, payload: str, **values: str) -> Path:
    """A link from picture to meter as Companion would save it."""
    states = {"coordinate": [0, 0], "rotation": 0, "state": "enabled"}

    def block(name: str, kind: str, **parameters: str) -> dict:
        return {"name": name, "id": kind, "parameters": parameters, "states": states}

    ours = ["image_source", "source_encoder", "channel_encoder", "mapper", "framer", "channel", "equaliser"]
    ours += ["deframer", "soft_demapper", "channel_decoder", "source_decoder", "image_sink", "link_meter"]
    settings = {
        "source_encoder": {"system": "jpeg", "max_bpp": "0.5"},
        "source_decoder": {"system": "jpeg"},
        "channel_encoder": {"mcs": "mcs"},
        "channel": {"esn0_db": "esn0_db", "model": "channel"},
        "framer": {"payload": payload},
        "deframer": {"payload": payload},
        **{name: dict([pair]) for name, *pairs in values.values() for pair in pairs},
    }
    blocks = [block(f"the_{name}", f"semcom_{name}", **settings.get(name, {})) for name in ours]
    blocks += [
        block("esn0_db", "parameter", type="eng_float", value="8", label="Es/N0", short_id="e"),
        block("channel", "parameter", type="str", value="awgn", label="Channel", short_id="c"),
        block("mcs", "variable", value="'16qam-1/3'"),
    ]
    doubled = {("channel", "equaliser"), ("equaliser", "deframer"), ("deframer", "soft_demapper")}
    pairs = [
        *zip(ours[:10], ours[1:11], strict=True),
        ("source_decoder", "image_sink"),
        ("source_decoder", "link_meter"),
    ]
    connections = [[f"the_{a}", "0", f"the_{b}", "0"] for a, b in pairs]
    connections += [[f"the_{a}", "1", f"the_{b}", "1"] for a, b in pairs if (a, b) in doubled]
    content = {
        "options": {
            "parameters": {
                "id": "link", "title": "link", "author": "", "generate_options": "no_gui", "output_language": "python",
                "run_options": "run", "category": "", "cmake_opt": "", "comment": "", "copyright": "",
                "description": "", "gen_cmake": "On", "gen_linking": "dynamic", "hier_block_src_path": ".:",
                "max_nouts": "0", "placement": "(0,0)", "qt_qss_theme": "", "realtime_scheduling": "", "run": "True",
                "run_command": "", "sizing_mode": "fixed", "thread_safe_setters": "", "window_size": "",
            },
            "states": states,
        },
        "blocks": blocks,
        "connections": connections,
        "metadata": {"file_format": 1, "grc_version": "3.10.5.1"},
    }  # fmt: skip
    path = folder / "link.grc"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def compile_flowgraph(path: Path) -> subprocess.CompletedProcess:
    if shutil.which("grcc") is None:
        pytest.skip("grcc is not installed")
    environment = {**grc_environment(), "HOME": str(path.parent), "XDG_CACHE_HOME": str(path.parent)}
    command = ["grcc", "-o", str(path.parent), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grc")
    done = compile_flowgraph(flowgraph(folder, "bits"))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_link_of_all_blocks_compiles_and_runs(compiled):
    command = [sys.executable, "link.py", "--esn0-db", "9"]
    done = subprocess.run(command, cwd=compiled, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout.splitlines()[-1])
    assert record["delivered"] and record["esn0_db"] == 9 and record["metrics"]["psnr_db"] > 20


@pytest.mark.parametrize(
    "wrong",
    [
        ("source_encoder", ("system", "jpg")),
        ("channel_encoder", ("mcs", "17qam-1/3")),
        ("channel", ("esn0_db", "float('nan')")),
        ("channel_decoder", ("max_iterations", "0")),
    ],
)
def test_a_wrong_parameter_turns_its_block_red(tmp_path, wrong):
    done = compile_flowgraph(flowgraph(tmp_path, "bits", wrong=wrong))
    assert done.returncode != 0
    assert "Assertion" in done.stdout + done.stderr
    assert not (tmp_path / "link.py").exists()
