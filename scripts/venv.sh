# Sourced by the other scripts, in the repository's root: makes .venv if there is none, and enters it.
python=$(command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
if [ ! -x .venv/bin/pip ]; then
    "$python" -m venv .venv || {
        echo "error: $python can't make a virtual environment (on Debian: apt-get install python3-venv)" >&2
        exit 1
    }
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
source .venv/bin/activate
