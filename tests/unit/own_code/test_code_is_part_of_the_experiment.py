"""The content of a file is part of the experiment; its text is in the record and goes to every worker."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zenfront import spaces
from zenfront.pipeline import proxies, user_code
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment, to_yaml, with_overrides
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.scoring import Scoring

Zenfront = Callable[..., tuple[int, str, str]]
Files = tuple[Path, Path, Path]


def loaded(own: Files, *overrides: str) -> Experiment:
    return load_experiment(own[0], overrides, allow_code=True)


def test_a_reference_is_relative_to_the_file_and_becomes_a_name(own: Files, tmp_path: Path) -> None:
    experiment = loaded(own)
    assert experiment.space == "chain"
    assert experiment.score_names() == ["slope", "flops"]
    assert experiment.proxies == {"slope": {"factor": 3}}
    assert experiment.select.along == "slope"
    assert {code.file for code in experiment.code} == {str(own[1]), str(own[2])}


def test_an_override_of_an_option_goes_by_the_name_and_keeps_the_others(own: Files) -> None:
    own[0].write_text(own[0].read_text().replace("{factor: 3}", "{factor: 3, other: 1}"))
    assert loaded(own, "proxies.slope.factor=5").proxies == {"slope": {"factor": 5, "other": 1}}


def test_an_override_is_relative_to_the_working_directory(own: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own[0].parents[1])
    assert load_experiment("quickstart", ["space=config/chain.py"]).space == "chain"
    with pytest.raises(
        UserError, match=r"--set space=chain\.py: space: cannot read chain\.py \(.*/chain\.py\): No such"
    ):
        load_experiment("quickstart", ["space=chain.py"])


def test_an_attribute_gives_its_name(own: Files) -> None:
    own[1].write_text(own[1].read_text() + "WIDE = Space('wide', SPACE.distributions, build, source='a test')\n")
    own[0].write_text(own[0].read_text().replace("./chain.py", "./chain.py:WIDE"))
    experiment = loaded(own)
    assert experiment.space == "wide"
    assert spaces.load("wide", experiment.code).name == "wide"


def test_the_experiment_that_is_shown_is_read_back(own: Files, tmp_path: Path) -> None:
    shown = tmp_path / "shown.yaml"
    shown.write_text(to_yaml(loaded(own)), encoding="utf-8")
    assert load_experiment(shown) == loaded(own)


def test_the_identity_depends_on_the_content_and_on_nothing_else(own: Files, tmp_path: Path) -> None:
    before = loaded(own).identity()
    moved = tmp_path / "moved"
    own[0].parent.rename(moved)
    assert load_experiment(moved / "mine.yaml").identity() == before
    (moved / "slope.py").write_text((moved / "slope.py").read_text() + "\n")
    assert load_experiment(moved / "mine.yaml").identity() != before


def test_code_that_no_key_names_any_more_is_no_part_of_it(own: Files) -> None:
    changed = with_overrides(loaded(own), ["space=anynet3"])
    assert [code.name for code in changed.own_code()] == ["slope"]
    assert list(changed.identity()["code"]) == ["proxies"]


def test_an_experiment_without_code_has_the_identity_that_it_had() -> None:
    """The record of a run that an earlier version began has no key ``code``."""
    experiment = load_experiment("quickstart")
    stored = experiment.model_dump(mode="json", exclude={"code"})
    assert "code" not in experiment.identity()
    assert Experiment.model_validate(stored).identity() == experiment.identity()


def test_a_changed_file_does_not_continue_a_run(own: Files, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "mine")
    with folder.driving(loaded(own)), Ledger(folder.scores) as ledger:
        ledger.append([{"scored": 1}])
    own[2].write_text(own[2].read_text().replace("2 * x", "3 * x"))
    changed = r"code\.proxies\.slope: \"content [0-9a-f]{16}\" -> \"content [0-9a-f]{16}\" \(architectures are scored"
    with pytest.raises(UserError, match=changed), folder.driving(loaded(own)):
        pass


def test_a_run_goes_on_when_its_files_have_gone(own: Files, zenfront: Zenfront) -> None:
    """The record holds the text; the folder names the run."""
    folder = RunFolder(Path("runs/mine"))
    with folder.driving(loaded(own)):
        pass
    for file in own:
        file.unlink()
    code, _, err = zenfront("select", "mine", "--allow-code")
    assert (code, err) == (
        2,
        "zenfront: nothing has been scored yet, so there is no front. Run `zenfront search mine --allow-code` first.\n",
    )
    stored = folder.experiment()
    assert spaces.load("chain", stored.code).size == 36
    assert proxies.load("slope", stored.code).unit == "1"


HERE = """
import pickle, sys
scoring, text = pickle.load(sys.stdin.buffer)
scores = scoring.score(scoring.space.architecture(scoring.space.parse(text)))
print(scores.values, scores.failure)
"""


def test_a_scoring_travels_to_a_process_that_does_not_have_the_files(own: Files, tmp_path: Path) -> None:
    scoring = Scoring.of(loaded(own))
    here = scoring.score(scoring.space.architecture({"w1": 1, "w2": 2}))
    assert here.failure is None
    sent = pickle.dumps((scoring, "w1=1,w2=2"))
    for file in own:
        file.unlink()
    there = subprocess.run([sys.executable, "-c", HERE], input=sent, capture_output=True, cwd=tmp_path, check=False)
    assert there.stdout.decode() == f"{here.values} None\n", there.stderr.decode()


def test_the_same_name_twice_is_refused(own: Files) -> None:
    (own[0].parent / "other").mkdir()
    (own[0].parent / "other" / "slope.py").write_text("PROXY = 1")
    own[0].write_text(own[0].read_text().replace("{score: ./slope.py, at_least", "{score: other/slope.py, at_least"))
    with pytest.raises(
        UserError, match=r"mine\.yaml, line 9: constraints\[0\]\.score: .*have the same name\. Rename one"
    ):
        load_experiment(own[0])


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("./none.py", r"cannot read \./none\.py \(.*none\.py\): No such file or directory\."),
        ("./chain.py:", "names no code: write ./file.py, ./file.py:NAME or package.module:NAME."),
        ("chain:SPACE", "there is no module 'chain': chain is not installed here."),
        ("json.none:SPACE", "there is no module 'json.none': json.none is not installed here."),
        ("math:SPACE", "the module 'math' is no Python file, so that its content cannot be compared."),
        ("./a-b.py", "the file's name is the name in the results, and 'a-b' is no Python name."),
    ],
)
def test_a_wrong_reference_is_told_with_its_line(own: Files, reference: str, said: str) -> None:
    (own[0].parent / "a-b.py").touch()
    own[0].write_text(own[0].read_text().replace("./chain.py", json.dumps(reference)))
    with pytest.raises(UserError, match=rf"mine\.yaml, line 3: space: .*{said}"):
        load_experiment(own[0])


def test_code_is_no_key_of_a_file(own: Files) -> None:
    own[0].write_text(own[0].read_text() + "code: []\n")
    with pytest.raises(UserError, match=r"line 16: code: unknown key\."):
        load_experiment(own[0])


@pytest.fixture
def package(own: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The space as the module of an installed package; its parent leaves a mark when it is imported."""
    folder = tmp_path / "site" / "own_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from pathlib import Path; Path(__file__).with_suffix('.ran').touch()\n")
    own[1].rename(folder / "chain.py")
    own[0].write_text(own[0].read_text().replace("./chain.py", "own_package.chain:SPACE"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield folder
    for name in ("own_package", "own_package.chain"):
        sys.modules.pop(name, None)


def test_a_module_is_compared_like_a_file(own: Files, package: Path) -> None:
    experiment = load_experiment(own[0])
    assert experiment.space == "chain"
    with pytest.raises(UserError, match=r"own_package\.chain.*--allow-code"):
        spaces.load("chain", experiment.code)
    assert not (package / "__init__.ran").exists()
    user_code.allow(experiment.code)
    assert spaces.load("chain", experiment.code).size == 36
    assert (package / "__init__.ran").exists()
    (package / "chain.py").write_text((package / "chain.py").read_text() + "\n")
    with pytest.raises(UserError, match=r"the module own_package\.chain has changed since the experiment read it"):
        spaces.load("chain", experiment.code)
    assert load_experiment(own[0]).identity() != experiment.identity()
