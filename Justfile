# Short names for the commands of Zenfront and of its development. Options and arguments are passed on.

set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

python := env("PYTHON", "python3")
bin := justfile_directory() / ".venv/bin"

[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted --list-heading $'Commands; options are passed on: just run --help\n'

# Create .venv, or update it
setup:
    @"{{ python }}" .ci/setup.py

# Run the whole pipeline (search, select, train, report), or continue an interrupted run
[no-exit-message]
run *args: setup
    @"{{ bin }}/zenfront" run "$@"

# The same as `just run`: the whole pipeline, not its first stage alone
[no-exit-message]
search *args: setup
    @"{{ bin }}/zenfront" run "$@"

# Compute the Pareto front of a search and choose what to train
[no-exit-message]
select *args: setup
    @"{{ bin }}/zenfront" select "$@"

# Train the selected architectures and stop the weak ones early
[no-exit-message]
train *args: setup
    @"{{ bin }}/zenfront" train "$@"

# Write tables, figures and a page for a run, or compare several runs
[no-exit-message]
report *args: setup
    @"{{ bin }}/zenfront" report "$@"

# Show the results in MLflow
[no-exit-message]
ui *args: setup
    @"{{ bin }}/zenfront" ui "$@"

# Start Ray with its dashboard on this machine, reachable from it alone; use it with --address auto
[no-exit-message]
dashboard *args: setup
    @printf 'The dashboard will be at http://127.0.0.1:8265 and ask for this token:\n%s\nTo run on it, in another terminal: RAY_AUTH_MODE=token just run CONFIG --address auto\nPress Ctrl-C to stop it.\n' "$("{{ bin }}/ray" get-auth-token --generate 2>/dev/null)"
    @RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_USAGE_STATS_REPORT_URL=http://127.0.0.1:9 "{{ bin }}/ray" start --head --block --dashboard-host 127.0.0.1 --include-dashboard true --metrics-export-port 8080 "$@" >/dev/null

# Run all tests on at most four cores
[no-exit-message]
test *args: setup
    @"{{ bin }}/python" -m pytest --numprocesses auto --maxprocesses 4 --durations 25 "$@"

# Run the tests that take less than ten seconds each
[no-exit-message]
test-fast *args: setup
    @"{{ bin }}/python" -m pytest --numprocesses auto --maxprocesses 4 -m "not slow" "$@"

# Run the tests that kill, stop and resume whole runs for minutes; ZENFRONT_KILLS=20 kills twenty drivers
[no-exit-message]
soak *args: setup
    @"{{ bin }}/python" -m pytest -m soak "$@"

# Check formatting, lint and types
[no-exit-message]
check: setup
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --fmt --check
    @"{{ bin }}/ruff" format --check .
    @"{{ bin }}/ruff" check .
    @"{{ bin }}/mypy"

# Run a benchmark, or list the benchmarks
[no-exit-message]
bench name="" *args: setup
    @if [ -n "$1" ]; then "{{ bin }}/python" "benchmarks/$1.py" "${@:2}"; else ls benchmarks/*.py; fi

# Build the documentation and serve it on http://127.0.0.1:8000; with --build, only build it into site/
[no-exit-message]
docs *args: setup
    @case "${1:-}" in --build) shift; set -- build "$@" ;; *) set -- serve --dev-addr 127.0.0.1:8000 "$@" ;; esac; NO_MKDOCS_2_WARNING=1 "{{ bin }}/mkdocs" "$1" --strict "${@:2}"
