#!/usr/bin/env bash
# What the SQL dialect costs. The promise: registering it adds at most 3 ms to a start, and rewriting at most 5 % to
# planning. Fails where it costs more. PROFILE=dev measures the build of the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
profile="${PROFILE:-release}"
cargo test --quiet --locked --profile "$profile" --lib sql::cost -- --ignored --nocapture
