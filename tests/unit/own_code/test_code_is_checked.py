"""What is wrong with the user's own code is one message with its file and line, before anything is computed."""

from collections.abc import Callable
from pathlib import Path

import pytest

Zenfront = Callable[..., tuple[int, str, str]]
Files = tuple[Path, Path, Path]
PROXY = 'PROXY = Proxy(name="slope", '
BUILD = "    return Network("


def check(own: Files, zenfront: Zenfront, *words: str) -> str:
    """The message of `zenfront config check`, with the files by their names alone."""
    code, _, err = zenfront("config", "check", str(own[0]), "--allow-code", *words)
    assert code == 2
    assert "Traceback" not in err
    assert err.count("\n") == 1
    return err.replace(f"{own[0].parent}/", "").removeprefix("zenfront: ").strip()


def line_of(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("before", "after", "at", "said"),
    [
        ("import torch\n", "import torch\ndef score(:\n", "def score(:", "SyntaxError: invalid syntax."),
        ("import torch\n", "import torch\nundefined\n", "undefined", "NameError: name 'undefined' is not defined."),
        ("import torch\n", "import torch\nraise SystemExit(3)\n", "SystemExit", "SystemExit: 3."),
        (
            "import torch\n",
            "import torch\nimport chain\n",
            "import chain",
            "ModuleNotFoundError: No module named 'chain'. A file may import installed packages, but no file "
            "beside it: it is sent to workers alone.",
        ),
        ("PROXY = ", "SCORE = ", None, "the file defines no PROXY. Did you mean 'score'?"),
        (PROXY, "PROXY = score  # (", "PROXY", "PROXY must be a Proxy (proxy), but got a function."),
        (
            '"slope"',
            '"gradient"',
            "PROXY",
            "PROXY.name must be 'slope', after the file or the attribute, but got 'gradient'. Change one of them.",
        ),
        (
            '"maximise"',
            '"up"',
            "PROXY",
            "PROXY: direction must be one of maximise, minimise, but got 'up'.",
        ),
        ('unit="1"', "unit=None", "PROXY", "PROXY: unit must be text, but got None."),
        ('"gradients"', '"time"', "PROXY", "PROXY: needs must be among images, labels, gradients, but got time."),
        (
            "(network, batch, generator, *",
            "(network, batch, *",
            "PROXY",
            "PROXY: score must take (network, batch, generator, *, options), but takes (network, batch, *, "
            "factor: int = 1) -> float.",
        ),
        (
            "factor: int = 1",
            "factor=1",
            "PROXY",
            "PROXY: option 'factor' of score must have a type and a default.",
        ),
    ],
)  # fmt: skip
def test_a_wrong_score(before: str, after: str, at: str | None, said: str, own: Files, zenfront: Zenfront) -> None:
    text = own[2].read_text()
    assert before in text
    own[2].write_text(text.replace(before, after))
    place = f"slope.py, line {line_of(own[2], at)}" if at else "slope.py"
    assert check(own, zenfront) == f"{place}: {said}"


@pytest.mark.parametrize(
    ("before", "after", "at", "said"),
    [
        (
            'source="a test"',
            'source="a test", canonical=lambda a: Architecture("other", a.genes)',
            "SPACE",
            "SPACE: canonical must keep the space and the genes (w1, w2), but got Architecture(space='other', genes=",
        ),
        (
            'source="a test"',
            'source="a test", canonical=lambda a: a.width',
            "a.width",
            "SPACE: canonical: AttributeError: 'Architecture' object has no attribute 'width'.",
        ),
        (
            'source="a test"',
            'source="a test", violation=lambda a, task: ""',
            "SPACE",
            "SPACE: violation must return a sentence or None, but got ''.",
        ),
        (
            'source="a test"',
            'source="a test", notation=lambda a: "w1=1,w2=1"',
            "SPACE",
            "SPACE: parse must read back what notation writes, but not 'w1=1,w2=1'.",
        ),
        (
            "nn.Linear(w_in, task.classes)",
            "nn.Linear(w_in, 3)",
            "SPACE",
            "SPACE: logits must be (N, K), here (2, 10), but got (2, 3).",
        ),
        (
            BUILD,
            f"    layers.append(nn.Flatten())\n{BUILD}",
            "SPACE",
            "SPACE: features must be (N, C, H, W), but got (2, ",
        ),
        (BUILD, f"    task.pixels\n{BUILD}", "task.pixels", "AttributeError: 'Task' object has no attribute 'pixels'."),
        ("w_in = w\n", "w_in = w + 1\n", "SPACE", ": RuntimeError: "),
        (
            "IntDistribution(1, 6), \"w2\"",
            "FloatDistribution(1, 6), \"w2\"",
            "SPACE",
            "SPACE: distributions: ",
        ),
    ],
)  # fmt: skip
def test_a_wrong_space(before: str, after: str, at: str, said: str, own: Files, zenfront: Zenfront) -> None:
    text = own[1].read_text().replace("import IntDistribution", "import FloatDistribution, IntDistribution")
    assert before in text
    own[1].write_text(text.replace(before, after))
    message = check(own, zenfront)
    at = "SPACE = " if at == "SPACE" else at
    assert message.startswith(f"chain.py, line {line_of(own[1], at)}: SPACE")
    assert said in message


def test_a_file_that_is_called_like_a_shipped_score(own: Files, zenfront: Zenfront) -> None:
    own[2].with_name("zen.py").write_text(own[2].read_text().replace('"slope"', '"zen"'))
    own[0].write_text(own[0].read_text().replace("./slope.py", "./zen.py"))
    said = "objectives[0].score: zen.py has the name of a known proxy, 'zen'. Give the file another name."
    assert check(own, zenfront) == said


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("fctor=3", "proxies.slope.fctor: proxy 'slope' has no option 'fctor'. Did you mean 'factor'? It has: factor."),
        ("factor=high", "proxies.slope.factor: must be a whole number, but got 'high'."),
    ],
)
def test_a_wrong_option(option: str, said: str, own: Files, zenfront: Zenfront) -> None:
    assert check(own, zenfront, "--set", f"proxies.slope.{option}") == said


def test_a_space_without_a_network_for_the_task(own: Files, zenfront: Zenfront) -> None:
    own[1].write_text(
        own[1].read_text().replace('source="a test"', 'source="a test", violation=lambda a, t: "too small"')
    )
    assert check(own, zenfront) == "task: none of 100 architectures of space 'chain' can be built: too small."
