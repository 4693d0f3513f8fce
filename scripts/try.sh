#!/usr/bin/env bash
# Set up Tintype in .venv and colorize the photographs in examples/. Needs Python 3.11 or newer and git, nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/venv.sh

pip install --quiet .
tintype colorize examples -o out/examples --overwrite
tintype colorize examples -o out/side-by-side --side-by-side --overwrite --quiet

echo
echo "Look at out/examples (the results) and out/side-by-side (grey and colour in one picture)."
