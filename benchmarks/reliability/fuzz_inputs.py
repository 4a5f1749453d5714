"""Damages what people hand in, at random, and sees what commands make of it: weights, predictions, suites, tables, and
images in folders and archives.

    python benchmarks/reliability/fuzz_inputs.py --count 120 --seed 0 [--kinds weights,suites]

*count* is that of each kind.  A command ends in time with a sentence or does its work, without a traceback and below
2 GB; a network whose weights are taken is run, and weights never run code.  Each is tried in a fork of this process,
which has imported everything once and computes nothing itself: a fork of a process whose threads have computed may
wait for them for ever, which would be no fault of a command.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import random
import resource
import shutil
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch
from commands import report
from fuzz import ODD, changed_json, command, damage, damaged, forked
from PIL import Image
from pyarrow import parquet

from rsbench.cli.app import build
from rsbench.data.prepare import prepare
from rsbench.engine.run import run as engine
from rsbench.errors import UserError
from rsbench.evaluation import EvaluationRequest, expand_evaluation
from rsbench.plan import RunRequest, expand
from rsbench.registry import registry
from rsbench.specs import load_attribute

CompileBenchmark = tuple[str, list[str]]
SAMPLES: Final = 30
ODD_YAML: Final = (
    "null", "[]", "{}", "-1", "1.5", ".nan", "1e400", "9" * 400, "x", "''", "[1, [2]]", "{a: {b: 1}}", "2020-13-45",
    "!!python/object/apply:os.abort []", "!!binary '!!!'", "!!timestamp x", "!!int x", "*gone", "&a [*a]", "true",
    "0-99999999999", "4-0", "[" * 3000, "{a: " * 500, '"\\ud800"', '"\\0"', "../../x", "'*'", "timm:*", "é", "<<: *b",
    "&b [" + ", ".join(["&c [x, x]"] * 9) + "]", "? [a, b] : 3", "1:2:3", "!!set {a, b}", "@", "%", "\t- x", "a: b: c",
)  # fmt: skip
SUITE: Final = """
name: a suite
runs:
  - model: [tiny-cnn, majority-class]
    dataset: eurosat
    protocol: bmta-70-15-15
    seeds: 0-2
    recipe: short
    set:
      epochs: 1
      loss_options.label_smoothing: 0.1
      augmentation: {hflip: 0.5}
  - model: bmta
    dataset: eurosat
    options: {dropout: 0.1}
    precision: fp32
    overfit: 8
"""


class Runs:
    """Has code run when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


class Inputs:
    """Fake data, and the weights of a network; each method that :data:`KINDS` names tries one input."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.canary = folder, folder / "data", folder / "canary"
        self.place, self.out = folder / "in", folder / "out"
        for name in ("eurosat", "ucm-captions", "rsvqa-lr"):
            spec = registry().get("dataset", name)
            few: dict[str, Any] = {"rsvqa-lr": {"images": (3, 2, 2)}}.get(name, {"per_class": 2})
            load_attribute(spec.fake)(folder / "files" / name, spec, **few)
        spec = registry().get("dataset", "eurosat")
        load_attribute(spec.fake)(folder / "more", spec, per_class=9)
        prepare(spec, folder / "more", self.root, workers=1)
        where: dict[str, Any] = {"data_root": self.root, "device": "cpu", "threads": 1, "out": str(folder / "base")}
        request = RunRequest(
            models=(("tiny-cnn", {}),),
            dataset="eurosat",
            changes={"epochs": 1, "precision": "fp32"},
            seeds=(0,),
            **where,
        )
        forked(lambda: engine.execute(expand(request)[0], lambda event: None))
        self.weights_file = next((folder / "base").glob("*/model.safetensors")).read_bytes()
        length = int.from_bytes(self.weights_file[:8], "little")
        self.header, self.tensors = self.weights_file[8 : 8 + length], self.weights_file[8 + length :]
        build()

    def weights(self, rng: random.Random) -> CompileBenchmark:
        """A file of weights."""
        ways: dict[str, Callable[[], bytes]] = {
            "bytes": lambda: damaged(self.weights_file, rng),
            "header": lambda: self._with_header(changed_json(self.header.decode(), rng)),
            "metadata": lambda: self._with_header(self._odd_metadata(rng)),
            "torch": lambda: self._torch(rng),
            "numpy": lambda: self._numpy(rng),
        }
        way = rng.choice([*ways])
        suffixes = {"torch": [".pt", ".pth", ".ckpt", ".pth.tar"], "numpy": [".npz"]}.get(way, [".safetensors"])
        path = self.place / f"w{rng.choice(suffixes)}"
        path.write_bytes(ways[way]())
        if rng.random() < 0.05:
            way += f", {damage(path, rng)}"
        given = ["--model", "tiny-cnn"] if way != "metadata" else []
        where = ["--data-root", str(self.root), "--out", str(self.out)]
        faults, text = command("evaluate", str(path), "eurosat", *given, *where, "--dry-run")
        if not faults and "fingerprint" in text:
            faults = self._evaluated(path, given[1] if given else None)
        return f"{way}: {path.name}", faults

    def _evaluated(self, path: Path, model: str | None) -> list[str]:
        """Return what is wrong with a run of weights that were taken."""
        request = EvaluationRequest(
            checkpoint=path,
            dataset="eurosat",
            model=model,
            data_root=self.root,
            out=str(self.out),
            device="cpu",
            threads=1,
        )

        def call() -> None:
            try:
                record = engine.execute(expand_evaluation(request), lambda event: None)
            except UserError as error:
                print("refused:", error)
                return
            print("ended:", record["status"], record["error"])

        faults, text = forked(call)
        if "ended: ok" not in text and "refused: " not in text and "'RunError'" not in text:
            faults.append(f"no sentence: {text[-300:]}")
        return [
            f"run: {f}" for f in faults if not f.startswith("traceback") or "ended: failed" not in text
        ]  # of its log

    def _with_header(self, header: bytes) -> bytes:
        return struct.pack("<Q", len(header)) + header + self.tensors

    def _odd_metadata(self, rng: random.Random) -> bytes:
        header = json.loads(self.header)
        facts = header["__metadata__"]
        name = rng.choice([*facts])
        facts[name] = rng.choice([json.dumps(rng.choice(ODD)), rng.choice(ODD), "[" * 100_000, "{"])
        if rng.random() < 0.3:
            facts["normalization"] = changed_json(facts["normalization"], rng).decode()
        return json.dumps(header).encode()

    def _torch(self, rng: random.Random) -> bytes:
        from safetensors.torch import load

        state: dict[Any, Any] = dict(load(self.weights_file))
        name = rng.choice([*state])
        tensor = state[name]
        odd: list[Callable[[], Any]] = [
            lambda: tensor.to(torch.complex64),
            lambda: tensor.to_sparse(),
            lambda: tensor.to("meta"),
            lambda: tensor.to(rng.choice([torch.int64, torch.bool, torch.bfloat16, torch.float64])),
            lambda: torch.quantize_per_tensor(tensor.float(), 1.0, 0, torch.qint8),
            lambda: torch.zeros(1).expand(rng.choice([3, 10**10])),
            lambda: tensor * rng.choice([float("nan"), float("inf"), 1e30, 0.0]),
            lambda: tensor[..., None],
            lambda: torch.nested.nested_tensor([tensor.flatten(), tensor.flatten()[:1]]),
            lambda: rng.choice(ODD),
            lambda: Runs(self.canary),
            lambda: torch.nn.Parameter(tensor.float()),
        ]
        state[name] = rng.choice(odd)()
        if rng.random() < 0.3:
            state[rng.choice([1, ("a",), "module.x", "", "é", None])] = tensor
        for _ in range(rng.randrange(4)):
            key = rng.choice(["state_dict", "model", "state_dict_ema", "net", "args", 7])
            state = {
                key: state,
                **rng.choice([{}, {"epoch": 3}, {"x": Runs(self.canary)}, {"optimizer": {"a": [tensor]}}]),
            }
        stream = io.BytesIO()
        if rng.random() < 0.1:
            return pickle.dumps(rng.choice([3, None, [tensor], Runs(self.canary)]))
        torch.save(state, stream, _use_new_zipfile_serialization=rng.random() < 0.8)
        return damaged(stream.getvalue(), rng) if rng.random() < 0.3 else stream.getvalue()

    def _numpy(self, rng: random.Random) -> bytes:
        from safetensors.numpy import load

        state: dict[str, Any] = dict(load(self.weights_file))
        name = rng.choice([*state])
        odd: list[Any] = [
            np.array([Runs(self.canary)], dtype=object), np.array(["x"]), np.array(["2020-01-01"], dtype="datetime64[D]"),
            np.zeros(3, dtype=[("a", "i4")]), state[name].astype(">f4"), state[name].astype("c8"), np.zeros(()),
            state[name].astype("u8"), np.full_like(state[name], np.nan), state[name].astype("f2"),
        ]  # fmt: skip
        state[name] = rng.choice(odd)
        stream = io.BytesIO()
        np.savez(stream, **state)
        if rng.random() < 0.2:
            header = io.BytesIO()
            shape = rng.choice([(10**12,), (10**9, 4), (-1,), ()])
            np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{name}.npy", header.getvalue() + b"\0" * rng.choice([4, 10**7]))
        return damaged(stream.getvalue(), rng) if rng.random() < 0.3 else stream.getvalue()

    def scores(self, rng: random.Random) -> CompileBenchmark:
        """Predictions or references of a task."""
        task = rng.choice(["classification", "captioning", "vqa"])
        texts = ["a b c d", "two planes .", "many green trees", "é ü", "a"]
        entries: dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]] = {
            "classification": (
                (lambda i: {"probabilities": [0.2, 0.3, 0.5]}) if rng.random() < 0.5 else (lambda i: {"label": i % 3}),
                lambda i: {"label": i % 3},
            ),
            "captioning": (lambda i: {"caption": texts[i % 5]}, lambda i: {"captions": texts[: 1 + i % 5]}),
            "vqa": (
                lambda i: {"answer": ["3", "yes"][i % 2]},
                lambda i: {"image": f"i{i // 2}", "type": ["count", "presence"][i % 2], "answer": ["4", "no"][i % 2]},
            ),
        }
        files = [[{"id": str(i)} | one(i) for i in range(SAMPLES)] for one in entries[task]]
        bad, paths = rng.randrange(2), list[Path]()
        for number, content in enumerate(files):
            form = rng.choice(["json", "jsonl", "csv", "parquet", "coco"])
            data = _written(content, form, rng if number == bad else None)
            paths.append(self.place / f"{number}.{form}")
            paths[-1].write_bytes(data)
        how = f"{task}: {paths[bad].name}"
        if rng.random() < 0.05:
            how += f", {damage(paths[bad], rng)}"
        words = ["--predictions", str(paths[0])]
        if rng.random() < 0.8:
            return how, command("score", "--task", task, *words, "--references", str(paths[1]), "--json")[0]
        return how, command("score", "eurosat", *words, "--data-root", str(self.root), "--json")[0]

    def suites(self, rng: random.Random) -> CompileBenchmark:
        """A suite."""
        lines = SUITE.splitlines()
        for _ in range(rng.randrange(1, 4)):
            k = rng.randrange(1, len(lines))
            head, colon, _ = lines[k].partition(":")
            lines[k] = rng.choice(
                [f"{head}{colon} {rng.choice(ODD_YAML)}", "", lines[k] * 2, lines[k][1:], lines[k] + " x: y"]
            )
        data = "\n".join(lines).encode("utf-8", "surrogatepass")
        path = self.place / "suite.yaml"
        path.write_bytes(damaged(data, rng) if rng.random() < 0.2 else data)
        how = damage(path, rng) if rng.random() < 0.05 else path.read_text(errors="replace")[:60]
        words = ["--data-root", str(self.root), "--out", str(self.out), "--dry-run"]
        return how, command("run", "--suite", str(path), *words)[0]

    def images(self, rng: random.Random) -> CompileBenchmark:
        """A file among those of a dataset, in a folder or an archive."""
        name = rng.choice(["eurosat", "eurosat", "ucm-captions", "rsvqa-lr"])
        source = self.place / name
        shutil.copytree(self.folder / "files" / name, source)
        files = sorted(path for path in source.rglob("*") if path.is_file())
        texts = [path for path in files if path.suffix in (".json", ".txt")]
        path = rng.choice(texts if texts and rng.random() < 0.4 else files)
        how = f"{name}/{path.relative_to(source)}: "
        if path.suffix in (".jpg", ".tif") and rng.random() < 0.6:
            data, what = _image(path, rng)
            path.write_bytes(data)
            how += what
        else:
            how += damage(path, rng)
        given, packed = source, rng.random() < 0.3
        if packed:
            given = self.place / f"{name}.zip"
            how += f", in a zip: {_zip(source, given, rng)}"
        words = ["--source", str(given), "--data-root", str(self.folder / "prepared"), "--workers", "1"]
        faults = command("data", "prepare", name, *words)[0]
        shutil.rmtree(self.folder / "prepared", ignore_errors=True)
        return how, faults

    def tables(self, rng: random.Random) -> CompileBenchmark:
        """A table of results to import."""
        head = [
            "dataset",
            "model",
            "seed",
            "method",
            "metric_name",
            "test_metric",
            "metric_ci_low",
            "metric_ci_high",
            "x",
        ]
        rows = [["m-eurosat", f"net{i % 3}", i, "linear", "accuracy", 0.9, 0.85, 0.93, ""] for i in range(6)]
        rows[rng.randrange(6)][rng.randrange(9)] = rng.choice(
            [str(o)[:6000] for o in ODD] + ["=1+1", '"', "a,b", "\n", ";"]
        )
        text = "\n".join(",".join(map(str, row)) for row in [head, *rows])
        path = self.place / "results.csv"
        path.write_bytes(
            damaged(text.encode("utf-8", "replace"), rng) if rng.random() < 0.4 else text.encode("utf-8", "replace")
        )
        how = damage(path, rng) if rng.random() < 0.1 else "a cell or bytes"
        return how, command("import", str(path), "--out", str(self.out))[0]

    def trial(self, kind: str, seed: int) -> CompileBenchmark:
        """Try one input of a kind, and clean up."""
        self.place.mkdir()
        name, faults = getattr(self, kind)(random.Random(seed))
        if self.canary.exists():
            faults.append("code was run")
            self.canary.rmdir()
        shutil.rmtree(self.place)
        shutil.rmtree(self.out, ignore_errors=True)
        return f"{seed}, {name}", faults


KINDS: Final = ("weights", "scores", "suites", "images", "tables")


def _written(entries: list[dict[str, Any]], form: str, rng: random.Random | None) -> bytes:
    """Return entries in a form; with *rng*, damaged."""
    if rng is not None and form != "parquet" and rng.random() < 0.6:
        entries = json.loads(changed_json(json.dumps(entries), rng))
    if form == "coco" and isinstance(entries, list):
        entries = [
            {("image_id" if k == "id" else k): v for k, v in e.items()} if isinstance(e, dict) else e for e in entries
        ]
    names = sorted({name for e in entries if isinstance(e, dict) for name in e})
    if form == "csv":
        rows = [[e.get(name, "") if isinstance(e, dict) else e for name in names] for e in entries]
        cells = [[json.dumps(c) if isinstance(c, (list, dict)) else str(c) for c in row] for row in rows]
        text = "\n".join(",".join('"' + c.replace('"', '""') + '"' for c in row) for row in [names, *cells])
    elif form == "jsonl":
        text = "\n".join(json.dumps(e) for e in entries)
    elif form == "parquet":
        stream = io.BytesIO()
        columns: dict[str, Any] = {name: [e[name] for e in entries] for name in names}
        if rng is not None and rng.random() < 0.6:
            odd = [pa.array([True] * SAMPLES), pa.nulls(SAMPLES), pa.array([b"\xff"] * SAMPLES), pa.array([{"a": 1}] * SAMPLES),
                   pa.array([10**15] * SAMPLES, pa.timestamp("s")), pa.array([[]] * SAMPLES, pa.list_(pa.float64())),
                   pa.array([float("nan")] * SAMPLES), pa.DictionaryArray.from_arrays([0] * SAMPLES, ["x"])]  # fmt: skip
            columns[rng.choice(names)] = rng.choice(odd)
        parquet.write_table(pa.table(columns), stream)
        return damaged(stream.getvalue(), rng) if rng is not None and rng.random() < 0.4 else stream.getvalue()
    else:
        text = json.dumps(entries)
    data = text.encode("utf-8", "replace")
    return damaged(data, rng) if rng is not None and rng.random() < 0.3 else data


def _image(path: Path, rng: random.Random) -> tuple[bytes, str]:
    """Return another image in place of one, and what it is."""
    with Image.open(path) as opened:
        image, form = opened.convert("RGB"), opened.format or "JPEG"
    side = image.size[0]
    ways: dict[str, Callable[[], tuple[Image.Image, str]]] = {
        "other size": lambda: (image.resize((side + 1, side)), form),
        "one pixel": lambda: (image.resize((1, 1)), form),
        "20,000 pixels wide": lambda: (Image.new("RGB", (20_000, 20_000)), form),
        "bomb": lambda: (Image.new("1", (40_000, 40_000)), "PNG"),
        "gray": lambda: (image.convert("L"), form),
        "CMYK": lambda: (image.convert("CMYK"), form),
        "palette": lambda: (image.convert("P"), "PNG"),
        "alpha": lambda: (image.convert("RGBA"), "PNG"),
        "16 bit": lambda: (Image.fromarray(np.full((side, side), 999, np.uint16)), "TIFF"),
        "float": lambda: (Image.fromarray(np.full((side, side), np.nan, np.float32)), "TIFF"),
        "32 bit": lambda: (Image.fromarray(np.full((side, side), 10**6, np.int32)), "TIFF"),
        "animation": lambda: (image.convert("P"), "GIF"),
        "other form": lambda: (image, rng.choice(["BMP", "PNG", "TIFF", "JPEG", "PPM"])),
    }
    way = rng.choice([*ways])
    made, form = ways[way]()
    stream = io.BytesIO()
    made.save(stream, form)
    return (damaged(stream.getvalue(), rng), f"{way}, damaged") if rng.random() < 0.2 else (stream.getvalue(), way)


def _zip(source: Path, target: Path, rng: random.Random) -> str:
    """Pack a folder, not quite as it should be; return how."""
    ways = ["whole", "bytes", "encrypted", "method", "size", "twice", "outside", "absolute", "mac", "nested", "folder"]
    way = rng.choice(ways)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in source.rglob("*"):
            if path.is_file() and not path.is_symlink():
                archive.write(path, path.relative_to(source))
        names = [name for name in archive.namelist() if name.endswith((".jpg", ".tif"))] or ["a.jpg"]
        name = rng.choice(names)
        more = {
            "outside": "../../x.jpg",
            "absolute": "/x/y.jpg",
            "mac": f"__MACOSX/._{Path(name).name}",
            "nested": "z.zip",
        }
        if way in more:
            archive.writestr(more[way], b"x" * 100)
        if way == "folder":
            archive.writestr(f"{name}/", b"")
        if way == "twice":
            archive.writestr(zipfile.ZipInfo(name), b"another")
    data = bytearray(target.read_bytes())
    at = [k for k in range(len(data) - 4) if data[k : k + 4] == b"PK\x01\x02"]
    k = rng.choice(at) if at else 0
    if way == "encrypted":
        data[k + 8] |= 1
    if way == "method":
        data[k + 10] = 99
    if way == "size":
        data[k + 24 : k + 28] = struct.pack("<I", rng.choice([0, 1, 2**32 - 2]))
    target.write_bytes(damaged(bytes(data), rng) if way == "bytes" else bytes(data))
    return way


def main() -> int:
    """Try all, and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS))
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(Path(folder))
        seeds = range(given.seed, given.seed + given.count)
        for kind in given.kinds.split(","):
            code |= report(f"damaged {kind}", (inputs.trial(kind, seed) for seed in seeds))
    return code


if __name__ == "__main__":
    sys.exit(main())
