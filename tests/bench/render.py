#!/usr/bin/env python3
"""What rendering costs, with nothing of a project around it.

The promises: a small model in at most 25 microseconds; ten thousand models of four macro calls each, out of a package of
1,200 macros, in under a second on two threads. The cost must not grow with the macros that a model does not reach, so
it is measured with a tenth of them too.

    python3 tests/bench/render.py

RENDER_TEMPLATES names a binary of examples/render_templates.rs, else one is built in release mode.
"""

import os
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary() -> str:
    if named := os.environ.get("RENDER_TEMPLATES"):
        return named
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    target = pathlib.Path(os.environ.setdefault("CARGO_TARGET_DIR", str(cache / "alluvium" / "target")))
    command = ["cargo", "build", "--locked", "--quiet", "--release", "--example", "render_templates", "--features", "yardstick"]
    subprocess.run(command, cwd=ROOT, check=True)
    return str(target / "release" / "examples" / "render_templates")


def nanoseconds(*command: str, runs: int = 7) -> float:
    return statistics.median(int(subprocess.run(command, capture_output=True, check=True, text=True).stdout) for _ in range(runs))


def main() -> None:
    program = binary()
    small = nanoseconds(program, "small", "20000")
    print(f"a small model: {small / 1000:.1f} µs (at most 25)")
    many = nanoseconds(program, "models", "10000", "2")
    print(f"10,000 models of four macro calls, 1,200 macros, two threads: {many * 10000 / 1e9:.2f} s (under 1)")
    few = nanoseconds(program, "models", "10000", "2", "60")
    print(f"the same with 120 macros: {few * 10000 / 1e9:.2f} s")


main()
