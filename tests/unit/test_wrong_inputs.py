"""Wrong input gives one message with the place and the rule, exit code 2 and no traceback."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder

RIGHT = """\
name: right
space: anynet3
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives:
  - {score: zen, direction: maximise}
  - {score: flops, direction: minimise}
constraints:
  - {score: params, at_most: 2e5}
search: {population: 8, evaluations: 16, seed: 0}
select:
  k: 3
train: {recipe: {flip: true}}
"""
Zenfront = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Wrong:
    """A mistake and the expected message."""

    name: str
    said: str
    file: str | bytes = RIGHT
    override: str | None = None
    command: Sequence[str] = ("config", "check", "wrong.yaml")


def _right(old: str, new: str) -> str:
    assert old in RIGHT
    return RIGHT.replace(old, new)


def _set(name: str, override: str, said: str) -> Wrong:
    return Wrong(name, said, RIGHT, override)


BILLION_LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nname: *c\n"
WRONG = [
    # the file
    Wrong(
        "no such config",
        "no experiment 'smok': there is no such file. Did you mean 'smoke'? Shipped: cells, cifar10, macro, ",
        command=("run", "smok"),
    ),
    Wrong("a folder", "no experiment '/': it is a folder.", command=("search", "/")),
    Wrong("empty file", "an experiment must be a mapping of keys to values, but the file holds nothing.", ""),
    Wrong("top level is a list", "but the file holds a list.", "- name: x\n"),
    Wrong(
        "tab",
        "wrong.yaml, line 2: found character '\\t' that cannot start any token. Indent with sp",
        "task:\n\tx: 1\n",
    ),
    Wrong("not UTF-8", "wrong.yaml, line 2: the text must be UTF-8, but byte 9 is not.", b"name: x\n#\xff\n"),
    Wrong("over 100 kB", "an experiment has at most 100,000 bytes", "#" * 1_000_001),
    Wrong("binary", "wrong.yaml is not YAML text", b"\x00\x01\x02"),
    Wrong("two documents", "line 2: but found another document.", "name: x\n---\nname: y\n"),
    Wrong("unclosed bracket", "wrong.yaml, line 2: expected ',' or ']', but got '<stream end>'.", "name: [x\n"),
    Wrong("nested too deep", "line 1: values are nested more than 20 levels deep.", "a: " + "[" * 5000 + "]" * 5000),
    Wrong("alias bomb", "line 1: anchors and aliases (& and *) are not supported: write the value", BILLION_LAUGHS),
    Wrong(
        "Python object",
        "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not supported, only plain values are.",
        "name: !!python/object/apply:os.system ['true']\n",
    ),
    Wrong(
        "duplicate key",
        "line 4: the key 'space' is given twice (first: wrong.yaml, line 3).",
        "# x\n---\nspace: anynet3\nspace: regnet\n",
    ),
    Wrong("key is a number", "line 1: a key must be text.", "true: x\n"),
    # the keys and their types
    Wrong(
        "unknown key",
        "wrong.yaml, line 9: search.populaton: unknown key. Did you mean 'population'? Known here: algorithm, popu",
        _right("population: 8", "populaton: 8"),
    ),
    Wrong(
        "missing key", "wrong.yaml, line 1: space: the key is missing: Name of a search", _right("space: anynet3\n", "")
    ),
    Wrong(
        "misspelt direction",
        "wrong.yaml, line 5: objectives[0].direction: must be 'maximise' or 'minimise', but got 'maximize'. "
        "Did you mean 'maximise'?",
        _right("maximise", "maximize"),
    ),
    Wrong(
        "fraction for a whole number",
        "line 11: select.k: must be a whole number, but got 2.5.",
        _right("k: 3", "k: 2.5"),
    ),
    Wrong("yes for a number", "search.seed: must be a whole number, but got 'yes'.", _right("seed: 0", "seed: yes")),
    Wrong(
        "Norway", "line 12: train.recipe.flip: must be true or false, but got 'no'.", _right("flip: true", "flip: no")
    ),
    Wrong(
        "a number as name",
        "line 1: name: must be text, but got 12. Put it in quotes",
        _right("name: right", "name: 12"),
    ),
    Wrong("nothing for a mapping", "line 10: select: must be a mapping, but got nothing.", _right("  k: 3\n", "")),
    Wrong("NaN", "wrong.yaml, line 8: a number must be finite, but got .nan.", _right("2e5", ".nan")),
    Wrong("infinite", "wrong.yaml, line 8: a number must be finite, but got 1e999.", _right("2e5", "1e999")),
    Wrong(
        "negative budget",
        "line 9: search.evaluations: must be greater than or equal to 1, but got -16.",
        _right("evaluations: 16", "evaluations: -16"),
    ),
    Wrong("a name with a path", "line 1: name: must match pattern", _right("name: right", "name: ../../etc")),
    _set("no objectives", "objectives=[]", "--set objectives=[]: objectives: must have at least 1 item"),
    _set(
        "the same objective twice",
        "objectives[1].score=zen",
        "wrong.yaml, line 1: objectives must be different scores, but got 'zen' more than once.",
    ),
    _set(
        "along without even",
        "select.along=zen",
        "line 10: select: `along` must be given with rule `even`, may be given with `stratifie",
    ),
    _set(
        "grace after the end",
        "train.epochs=3",
        "train: `recipe.warmup_epochs <= epochs` must hold, but got (warmup_epoc",
    ),
    # overrides
    _set("override without a value", "search.seed", "--set search.seed: write an override as key=value, for instance"),
    _set(
        "override of an unknown key",
        "search.sed=1",
        "--set search.sed=1: search.sed: unknown key. Did you mean 'seed'?",
    ),
    _set(
        "override past the end",
        "objectives[5].score=zen",
        "objectives is a list of 2 and has no item [5]; they are coun",
    ),
    _set(
        "override inside a number",
        "search.seed.x=1",
        "--set search.seed.x=1: search.seed is not a mapping and has n",
    ),
    _set("override that is no YAML", "search.seed=[", "--set search.seed=[: "),
    # names and what they stand for
    _set(
        "unknown space",
        "space=anynet",
        "space: there is no search space named 'anynet'. Did you mean 'anynet3'? Known: ",
    ),
    _set(
        "unknown proxy of an objective",
        "objectives[1].score=flop",
        "objectives[1].score: there is no proxy named 'flop'. Did you mean 'flops'? Known: ",
    ),
    _set(
        "unknown proxy of a constraint",
        "constraints[0].score=parms",
        "constraints[0].score: there is no proxy named 'par",
    ),
    _set(
        "unknown algorithm",
        "search.algorithm=nsga",
        "search.algorithm: there is no search algorithm named 'nsga'. Did y",
    ),
    _set(
        "unknown scheduler",
        "train.scheduler.name=ahsa",
        "train.scheduler.name: there is no scheduler named 'ahsa'. Did ",
    ),
    _set(
        "options of an unknown proxy",
        "proxies.zne.mode=paper",
        "proxies.zne: there is no proxy named 'zne'. Did you mean 'z",
    ),
    _set(
        "unknown option",
        "proxies.zen.mod=paper",
        "proxies.zen.mod: proxy 'zen' has no option 'mod'. Did you mean 'mode'",
    ),
    _set(
        "wrong type of an option",
        "proxies.zen.images=few",
        "proxies.zen.images: must be a whole number, but got 'few'.",
    ),
    _set(
        "wrong word for an option",
        "proxies.zen.mode=papr",
        "proxies.zen.mode: must be 'paper' or 'reference', but got 'p",
    ),
    _set(
        "bounds that exclude everything",
        "constraints[0].at_least=3e5",
        "line 8: constraints[0]: constraint on 'params': `at_least <= at_most` must hold, but got (at_least=300000, ",
    ),
    _set(
        "population over budget",
        "search.population=99",
        "search: `population <= evaluations` must hold, but got (populat",
    ),
    _set(
        "more selected than scored",
        "select.k=99",
        "select.k: at most search.evaluations = 16 can be selected, but got 99",
    ),
    _set(
        "images too small for the space",
        "task.height=2",
        "task: none of 100 architectures of space 'anynet3' can be built: it halves the resolution 2 times, ",
    ),
    # commands
    Wrong("no such run", "there is no run 'nope' in runs. Runs there: none.", command=("report", "nope")),
    Wrong("nothing to select from", "nothing has been scored yet", command=("select", "wrong.yaml")),
    Wrong(
        "nothing to train",
        "nothing is selected yet. Run `zenfront select right` first.",
        command=("train", "wrong.yaml"),
    ),
    Wrong("an unknown command", "No such command 'serach'", command=("serach",)),
    Wrong("an unknown option", "No such option", command=("run", "--sett", "a=b")),
    Wrong("an unknown space to list", "There is no search space named 'anynet'.", command=("spaces", "anynet")),
    Wrong("an unknown proxy to list", "There is no proxy named 'zne'.", command=("proxies", "zne")),
    Wrong(
        "an architecture outside its space",
        "gene 'd1': the value must be one of 1, 2, 3, ",
        command=(
            "score",
            "wrong.yaml",
            "--architecture",
            "d1=99,w1=8,b1=1,g1=1,d2=1,w2=8,b2=1,g2=1,d3=1,w3=8,b3=1,g3=1",
        ),
    ),
    Wrong(
        "missing images",
        "train.data",
        RIGHT + "resources: {device: cpu}\n",
        "train.data.source=./nowhere",
        ("run", "wrong.yaml"),
    ),
    Wrong(
        "an unwritable folder", "cannot write the run folder", command=("search", "wrong.yaml", "--runs", "/proc/none")
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_mistake_gets_one_message_and_exit_code_2(wrong: Wrong, zenfront: Zenfront) -> None:
    content = wrong.file.encode() if isinstance(wrong.file, str) else wrong.file
    Path("wrong.yaml").write_bytes(content)
    override = () if wrong.override is None else ("--set", wrong.override)
    code, _, err = zenfront(*wrong.command, *override)
    assert wrong.said in err
    assert "Traceback" not in err
    assert code == 2


def test_every_mistake_in_a_file_is_reported_with_its_line(zenfront: Zenfront) -> None:
    Path("wrong.yaml").write_text(RIGHT.replace("score: zen", "scor: zen").replace("k: 3", "k: x"), encoding="utf-8")
    code, _, err = zenfront("config", "check", "wrong.yaml")
    assert code == 2
    assert [line.split(": ")[:2] for line in err.replace("zenfront: ", "").splitlines()] == [
        ["wrong.yaml, line 5", "objectives[0].score"],
        ["wrong.yaml, line 5", "objectives[0].scor"],
        ["wrong.yaml, line 11", "select.k"],
    ]


def test_a_used_name_is_refused_with_the_difference(zenfront: Zenfront) -> None:
    Path("wrong.yaml").write_text(RIGHT, encoding="utf-8")
    folder = RunFolder(Path("runs/right"))
    with folder.driving(load_experiment("wrong.yaml")), Ledger(folder.scores) as ledger:
        ledger.append([{"scored": 1}])
    code, _, err = zenfront("search", "wrong.yaml", "--set", "search.seed=7")
    assert code == 2
    assert "another experiment under the same name" in err
    assert "search.seed: 0 -> 7" in err


def test_a_message_cannot_control_the_terminal(zenfront: Zenfront) -> None:
    code, _, err = zenfront("run", "a\x1b[31mb\r")
    assert code == 2
    assert "\x1b" not in err
    assert "\r" not in err


def test_the_right_file_is_right(zenfront: Zenfront) -> None:
    Path("wrong.yaml").write_text(RIGHT, encoding="utf-8")
    assert zenfront("config", "check", "--no-data", "wrong.yaml") == (0, "wrong.yaml: ok\n", "")
