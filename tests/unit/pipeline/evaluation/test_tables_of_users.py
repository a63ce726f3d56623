"""Tables as users bring them: CSV and parquet, other names of columns, the notations of size and macro spaces."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.truth_table import check_columns, read_scores, read_truth

Zenfront = Callable[..., tuple[int, str, str]]
NOTATIONS = {
    "nats_sss": ["8:16:24:32:64", "64:8:8:8:8"],
    "nasbench_macro": ["00120120", "22222222"],  # leading zeros, which a number does not have
    "transnas_macro": ["64-1342-basic", "64-224341-basic"],
}


@pytest.mark.parametrize("space", NOTATIONS)
def test_a_csv_file_holds_the_same_as_a_parquet_file(space: str, tmp_path: Path) -> None:
    texts = NOTATIONS[space]
    text_file, parquet = tmp_path / "truth.csv", tmp_path / "truth.parquet"
    text_file.write_text("arch,acc\n" + "".join(f"{text},{90 + i}.5\n" for i, text in enumerate(texts)))
    pq.write_table(pa.table({"arch": texts, "acc": [90.5, 91.5]}), parquet)
    loaded = spaces.load(space)
    for path in (text_file, parquet):
        truth = read_truth(path, loaded, "acc", {"architecture": "arch"})
        assert [loaded.notation(a) for a in truth.architectures] == texts
        assert truth.accuracy.tolist() == [90.5, 91.5]


def test_an_empty_cell_is_an_undefined_score_or_an_unknown_accuracy(tmp_path: Path) -> None:
    space, path = spaces.load("nats_sss"), tmp_path / "table.CSV"
    path.write_text("architecture,accuracy,flops,zen\n8:8:8:8:8,50,10,\n8:8:8:8:16,,20,1.5\n")
    scores = read_scores(path, space)
    assert list(scores.values()) == [{"accuracy": 50, "flops": 10}, {"flops": 20, "zen": 1.5}]
    assert read_truth(path, space, None).accuracy.tolist() == [50.0]


def test_architectures_that_were_stored_as_numbers_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"architecture": [120120], "accuracy": [1.0]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"row 1: an architecture must be a text .* got 120120"):
        read_truth(tmp_path / "t.parquet", spaces.load("nasbench_macro"), None)


def test_a_column_that_is_in_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("arch,accuracy\n")
    with pytest.raises(UserError, match=r"--column: there is no column 'archs' in .*t.csv. There are: arch, accuracy"):
        check_columns({"architecture": "archs"}, [tmp_path / "t.csv"])


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("architecture,accuracy,accuracy\n8:8:8:8:8,1,2\n")
    with pytest.raises(UserError, match="two columns 'accuracy'"):
        read_truth(tmp_path / "t.csv", spaces.load("nats_sss"), None)


def test_correlate_and_regret_on_a_csv_table_of_the_size_space(
    zenfront: Zenfront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accuracy is that of the widths, so a model that has seen a few networks ranks the rest."""
    monkeypatch.chdir(tmp_path)
    space, generator = spaces.load("nats_sss"), np.random.default_rng(0)
    rows = ["arch,acc,macs"]
    for _ in range(40):
        architecture = space.sample(generator)
        width = sum(float(value) for _, value in architecture.genes)
        rows.append(f"{space.notation(architecture)},{50 + width / 10},{width // 40}")
    Path("sss.csv").write_text("\n".join(rows) + "\n")
    asked = ("cells", "--space", "nats_sss", "--truth", "sss.csv", "--scores", "sss.csv")
    names = ("--column", "architecture=arch", "--column", "test_accuracy=acc", "--column", "flops=macs")
    code, _, err = zenfront("correlate", *asked, *names)
    assert (code, err) == (0, "")
    with Path("runs/cells.study/report/correlation.csv").open() as file:
        tau = {row["score"]: float(row["tau"]) for row in csv.DictReader(file) if row["tau"]}
    assert tau["learned from 16"] > 0.6
    assert tau["learned from 32"] > 0.8
    assert "learned from 64" not in tau  # there are 40
    code, _, err = zenfront("regret", *asked, *names, "--rule", "learned", "--nets", "6,40", "--seeds", "2")
    assert (code, err) == (0, "")
    code, _, err = zenfront("regret", *asked, "--column", "architecture")
    assert code == 2
    assert "--column: NAME=COLUMN is needed" in err
