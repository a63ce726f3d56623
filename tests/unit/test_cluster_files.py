"""The files of tune_configs/cluster/ are valid for the tools that read them, and require a token."""

import json
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from click import Command
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start
from ray.scripts.symmetric_run import symmetric_run

from zenfront.pipeline.experiment.config_file import load_experiment

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "tune_configs" / "cluster"
KUBERAY = json.loads((ROOT / "tests/golden/kuberay.json").read_text(encoding="utf-8"))
# Options of sbatch(1), Slurm 24.05: with a value, and without.
SBATCH = {"job-name", "nodes", "ntasks-per-node", "cpus-per-task", "gpus-per-node", "time", "output", "open-mode"}
SBATCH_FLAGS = {"exclusive", "requeue", "no-kill"}


def _yaml(name: str) -> Any:
    return yaml.safe_load((CLUSTER / name).read_text(encoding="utf-8"))


def _commands(text: str) -> list[list[str]]:
    """Return the shell commands of a text, split into words, without comments and line continuations."""
    text = re.sub(r"(^|\s)#.*", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [shlex.split(line) for line in re.split(r"[;\n]", text) if line.strip() and line.count('"') % 2 == 0]


def _options(command: Command) -> set[str]:
    return {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}


def _check_zenfront(words: list[str]) -> None:
    """Check that the command exists and that its overrides are keys of the experiment."""
    assert words[:2] == ["zenfront", "run"]
    overrides = [value for option, value in pairwise(words) if option == "--set"]
    load_experiment("smoke" if words[2].startswith("-") else words[2], overrides)
    assert {word for word in words if word.startswith("--")} <= {"--runs", "--address", "--set"}
    assert words[words.index("--address") + 1] == "auto"


def test_the_launcher_file_is_what_rays_launcher_reads() -> None:
    config = _yaml("aws.yaml")
    validate_config(prepare_config(config))
    for command in [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]:
        for words in _commands(command):
            if "start" in words:
                assert "RAY_AUTH_MODE=token" in words
                asked = {word.partition("=")[0] for word in words if word.startswith("--")}
                assert asked <= _options(start)
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][1]


@pytest.mark.parametrize(("name", "kind"), [("raycluster.yaml", "RayCluster"), ("rayjob.yaml", "RayJob")])
def test_a_manifest_fits_the_resources_that_kuberay_defines(name: str, kind: str) -> None:
    manifest = _yaml(name)
    jsonschema.validate(manifest, {"$defs": KUBERAY["$defs"], **KUBERAY["$defs"][kind]})
    cluster = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["rayVersion"] == ray.__version__
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        asked = {f"--{option}" for option in group["rayStartParams"]}
        assert asked <= _options(start)
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert volumes == {"runs": _yaml("runs-claim.yaml")["metadata"]["name"]}
        assert mounts == {"runs": "/runs"}


def test_the_schema_of_kuberay_finds_a_mistake() -> None:
    manifest = _yaml("rayjob.yaml")
    manifest["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParam"] = {}
    with pytest.raises(jsonschema.ValidationError, match="rayStartParam"):
        jsonschema.validate(manifest, {"$defs": KUBERAY["$defs"], **KUBERAY["$defs"]["RayJob"]})


def test_both_manifests_describe_the_same_cluster() -> None:
    assert _yaml("raycluster.yaml")["spec"] == _yaml("rayjob.yaml")["spec"]["rayClusterSpec"]


def test_the_job_of_the_manifest_is_a_command_of_ours() -> None:
    words = shlex.split(_yaml("rayjob.yaml")["spec"]["entrypoint"])
    _check_zenfront(words)
    assert words[words.index("--runs") + 1] == "/runs"


def test_every_image_is_the_one_of_the_dockerfile_on_the_tested_ray() -> None:
    dockerfile = (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM rayproject/ray:{ray.__version__}-py311\n" in dockerfile
    assert "RAY_AUTH_MODE=token" in dockerfile
    (built,) = re.findall(r"docker build .* -t (\S+)", dockerfile)
    for name in ("aws.yaml", "raycluster.yaml", "rayjob.yaml"):
        text = (CLUSTER / name).read_text(encoding="utf-8")
        assert set(re.findall(r"image: (\S+)", text)) == {built}


def test_the_slurm_script_is_bash_with_options_that_sbatch_has() -> None:
    script = CLUSTER / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    lines = [line.split(" ", 1)[1] for line in script.read_text(encoding="utf-8").splitlines() if "#SBATCH" in line]
    for line in lines:
        option, equals, value = line.partition("=")
        assert option.removeprefix("--") in (SBATCH if equals else SBATCH_FLAGS)
        assert bool(value) == bool(equals)


def test_the_slurm_script_calls_rays_symmetric_run_and_our_command() -> None:
    text = (CLUSTER / "slurm.sh").read_text(encoding="utf-8")
    assert "export RAY_AUTH_MODE=token" in text
    (words,) = (words for words in _commands(text) if "symmetric-run" in words)
    before, after = words[words.index("symmetric-run") : words.index("--")], words[words.index("--") + 1 :]
    asked = {word for word in before if word.startswith("--")}
    assert asked <= _options(symmetric_run) | _options(start) - {"--head", "--node-ip-address", "--port", "--block"}
    _check_zenfront(after)


def test_files_and_keys_in_the_guide_exist() -> None:
    """Check the files that docs/cluster.md names and the keys that it sets."""
    guide = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    for name in re.findall(r"tune_configs/[\w./-]+", guide):
        assert (ROOT / name).exists(), name
    keys = re.findall(r"--set '?([\w.]+)=", guide)
    assert keys
    for key in keys:
        section: Any = load_experiment("smoke")
        for part in key.split("."):
            section = getattr(section, part)


def test_every_file_at_the_top_of_tune_configs_is_an_experiment_of_its_name() -> None:
    files = sorted((ROOT / "tune_configs").glob("*.yaml"))
    assert len(files) >= 5
    assert [file.stem for file in files] == [load_experiment(file).name for file in files]
