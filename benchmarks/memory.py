"""Memory that fit and predict take above what was there, for X in memory and for X that is read piece by piece.

python benchmarks/memory.py [--gigabytes 1] [--limit 200MB] [--columns 256] [--folder FOLDER]

Each line is a process of its own: a warm-up on 2,000 rows, then X is made (in memory) or opened, then the peak of
resident memory during one epoch in batches of 256, and during predict and predict_proba, less what was resident before.
Linux only.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sklearnloss import LossClassifier

CLASSES = 10


class Rows(torch.utils.data.Dataset):
    """Rows made from their numbers; nothing is stored."""

    def __init__(self, n: int, d: int) -> None:
        self.n, self.d = n, d

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> torch.Tensor:
        return torch.full((self.d,), (i % 97) / 97.0)


def chunks(n: int, d: int, size: int = 20_000):
    rng = np.random.default_rng(0)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n)), rng.standard_normal((min(size, n - start), d), dtype=np.float32)


def array(n: int, d: int, dtype: str, order: str = "C") -> np.ndarray:
    X = np.empty((n, d), dtype, order=order)
    for rows, part in chunks(n, d):
        X[rows] = part
    return X


def write_npy(path: Path, n: int, d: int) -> None:
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
    for rows, part in chunks(n, d):
        X[rows] = part
    X.flush()


def write_parquet(folder: Path, n: int, d: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir()
    for number, (_, part) in enumerate(chunks(n, d)):
        table = pa.table({f"x{j}": part[:, j] for j in range(d)})
        parquet.write_table(table, folder / f"{number:05d}.parquet", row_group_size=max(1000, n // 100))


def opened(kind: str, n: int, d: int, folder: Path):
    return {
        "array float32": lambda: array(n, d, "float32"),
        "array float64": lambda: array(n // 2, d, "float64"),
        "array Fortran": lambda: array(n, d, "float32", "F"),
        "memory map": lambda: np.load(folder / "X.npy", mmap_mode="r"),
        "path .npy": lambda: folder / "X.npy",
        "Parquet": lambda: folder / "parquet",
        "Dataset": lambda: Rows(n, d),
    }[kind]()


KINDS = ("array float32", "array float64", "array Fortran", "memory map", "path .npy", "Parquet", "Dataset")


def status(key: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def peak(job: Callable[[], object]) -> tuple[float, float]:
    """Return the megabytes above what was resident before, and the seconds."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before, started = status("VmRSS"), time.perf_counter()
    job()
    return (status("VmHWM") - before) / 1e6, time.perf_counter() - started


def measure(kind: str, n: int, d: int, limit: str, folder: Path) -> dict[str, tuple[float, float]]:
    torch.set_num_threads(1)
    model = LossClassifier(max_epochs=1, batch_size=256, random_state=0, memory_limit=limit)
    few = next(chunks(2000, d))[1]
    model.fit(few, np.arange(2000) % CLASSES).predict(few)
    X = opened(kind, n, d, folder)
    y = np.random.default_rng(1).integers(CLASSES, size=n // 2 if kind == "array float64" else n)
    return {
        "fit": peak(lambda: model.fit(X, y)),
        "predict": peak(lambda: model.predict(X)),
        "predict_proba": peak(lambda: model.predict_proba(X)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of X, 10**9 bytes each")
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--limit", default="200MB", help="memory_limit")
    parser.add_argument("--folder", help="where the files are written; default: a temporary folder")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="what X is; default: all")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    d = arguments.columns
    n = int(arguments.gigabytes * 1e9) // (4 * d)
    if arguments.inside:
        print(json.dumps(measure(arguments.kinds[0], n, d, arguments.limit, Path(arguments.folder))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_npy(folder / "X.npy", n, d)
        write_parquet(folder / "parquet", n, d)
        print(f"X of {arguments.gigabytes:g} GB, {n:,} x {d} float32; memory_limit={arguments.limit}")
        print(f"{'MB above, and seconds':22s} {'fit':>15s} {'predict':>15s} {'predict_proba':>15s}")
        for kind in arguments.kinds:
            sizes = ["--gigabytes", str(arguments.gigabytes), "--columns", str(d), "--limit", arguments.limit]
            command = [sys.executable, __file__, "--inside", "--kinds", kind, "--folder", name, *sizes]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            figures = json.loads(done.stdout.splitlines()[-1])
            print(f"{kind:22s} " + " ".join(f"{mb:7.0f} {s:5.1f} s" for mb, s in figures.values()), flush=True)


if __name__ == "__main__":
    main()
