"""The package that goes along to a cluster reached by ray:// is the code of this process, as files and not as links."""

import os
import subprocess
import sys
from pathlib import Path

from ray._private.runtime_env.packaging import create_package, unzip_package

from zenfront.pipeline.cluster import head_node
from zenfront.pipeline.record.provenance import source_digest

SCRIPT = """
import zenfront.pipeline.cli.run_commands
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.record.provenance import source_digest
print(zenfront.__file__, load_experiment("smoke").space, source_digest())
"""


def test_what_ray_packs_runs_alone_and_is_the_code_of_this_process(tmp_path: Path) -> None:
    environment = head_node.runtime_env()
    (module,) = environment["py_modules"]
    packed, there = tmp_path / "sent.zip", tmp_path / "there"
    create_package(module, packed, include_gitignore=True, include_parent_dir=True, excludes=environment["excludes"])
    unzip_package(str(packed), str(there), remove_top_level_directory=False, unlink_zip=False)
    assert [path.name for path in there.iterdir()] == ["zenfront"]
    assert [path for path in there.rglob("*") if path.is_symlink() or path.name == "__pycache__"] == []
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(there)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(there / "zenfront" / "__init__.py"), "anynet3", source_digest()]
