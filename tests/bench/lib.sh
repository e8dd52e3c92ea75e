# Shared by the scripts beside it: where the release binary is, and how a time is taken.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/alluvium/target}"
PROFILE="${PROFILE:-release}" # PROFILE=debug looks at the build that the README's first command makes
bin="${ALLUVIUM:-$CARGO_TARGET_DIR/$PROFILE/alluvium}"

build() { # builds what is to be measured, unless ALLUVIUM names a binary
  [ -n "${ALLUVIUM:-}" ] && return
  local options=(--locked --quiet)
  [ "$PROFILE" = debug ] || options+=(--profile "$PROFILE")
  (cd "$root" && cargo build "${options[@]}" "$@")
}

measure() { # runs, command...: prints the least and the median wall time in milliseconds
  python3 - "$@" <<'PY'
import statistics, subprocess, sys, time
runs, command = int(sys.argv[1]), sys.argv[2:]
times = []
for _ in range(runs):
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True)
    times.append((time.perf_counter() - begin) * 1000)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}")
print(f"least {min(times):.1f} ms, median {statistics.median(times):.1f} ms of {runs} runs")
PY
}
