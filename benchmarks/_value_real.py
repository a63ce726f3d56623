"""Searches and trainings for real: networks of `anynet3` on CIFAR-10 at 16 x 16 pixels, trained for a few seconds each.

The arms choose networks; all trainings lie in one ledger, keyed by architecture, seed and recipe, so that arms share
those that both choose. Everything is resumed from the working folder.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow
import torch
from PIL import Image
from pyarrow import parquet

import zenfront as zf
from zenfront.pipeline.analysis.regret import stratified_rule
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.progress import SearchProgress, TrialProgress
from zenfront.pipeline.record.files.ledger import Ledger, read_values
from zenfront.pipeline.record.round_outcomes import Curve
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages import select
from zenfront.pipeline.stages.rounds.choice import Known, by_model, by_rule
from zenfront.pipeline.stages.rounds.learning import learn
from zenfront.pipeline.stages.rounds.search_again import search_again
from zenfront.pipeline.stages.select import find_front
from zenfront.pipeline.training import data, loop
from zenfront.spaces import Architecture

SIDE, ROUNDS, POOL = 16, 5, 48
FLOPS = 1.5e6
SETTING = [
    f"task.height={SIDE}",
    f"task.width={SIDE}",
    f"constraints=[{{score: params, at_most: 3e5}}, {{score: depth, at_most: 56}}, {{score: flops, at_most: {FLOPS}}}]",
    "search.evaluations=512",
    "search.repeats=1",
    "select={k: 24, rounds: 2, random_share: 0}",
    "train.data={limit: 2400, validation: 0.41667}",
    "train.recipe={batch_size: 50, learning_rate: 0.1, warmup_epochs: 1, flip: true, crop_padding: 2}",
    "train.epochs=4",
    "resources.device=cpu",
    "train.scheduler={name: fifo, grace_period: 1}",
]
"""`macro.yaml` with fewer pixels and evaluations, a bound of the FLOPs, and a training of some seconds."""
DEPTH_ALONE = "objectives=[{score: zen, direction: maximise}, {score: flops, direction: minimise}]"


def shrink(images: Path, folder: Path) -> Path:
    """Write CIFAR-10 with images of SIDE x SIDE pixels, each the mean of those that it covers; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train.parquet", "test.parquet"):
        if not (folder / part).exists():
            table = parquet.read_table(images / part)
            small = pyarrow.array(map(_smaller, table["img"].to_pylist()), table.schema.field("img").type)
            parquet.write_table(table.set_column(table.schema.get_field_index("img"), "img", small), folder / part)
    return folder


def _smaller(image: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    opened = Image.open(io.BytesIO(image["bytes"])).convert("RGB")
    opened.resize((SIDE, SIDE), Image.Resampling.BOX).save(file, "PNG")
    return image | {"bytes": file.getvalue()}


class Study:
    """One seed of the study: its experiment, what it may choose from, and the trainings.

    Args:
        work: Working folder with the record.
        images: Folder of the small images.
        seed: Seed of the searches, the draws and the trainings.
        count: Number of networks that an arm trains.
        ledger: All trainings of the seed.
    """

    def __init__(self, work: Path, images: Path, seed: int, count: int, ledger: Ledger) -> None:
        self.work, self.images, self.seed, self.count, self.ledger = work, images, seed, count, ledger
        self.known = {(row["id"], row["seed"], row["recipe"]): row for row in ledger.rows}

    def experiment(self, name: str, *changes: str) -> Experiment:
        """Return macro.yaml with the changes of this study and of an arm."""
        source = [f"train.data.source={self.images}", f"name={name}-{self.seed}", f"search.seed={self.seed}"]
        return load_experiment("macro", [*SETTING, *source, *changes])

    def search(self, name: str, *changes: str) -> list[Scores]:
        """Return the archive of a search."""
        experiment = self.experiment(name, *changes)
        run = zf.search(experiment, backend="serial", runs=self.work / "runs", tracking=False, progress=False)
        return read_values(RunFolder(run.path).scores, Scores.from_row)

    @cached_property
    def pool(self) -> list[Scores]:
        """Random feasible architectures with all scores of macro.yaml."""
        with Ledger(self.work / f"pool-{self.seed}.jsonl") as ledger:
            found = ledger.values(Scores.from_row)
            if not found:
                found = self._draw()
                ledger.append(scores.to_row() for scores in found)
        return found

    def _draw(self) -> list[Scores]:
        experiment = self.experiment("pool")
        scoring, generator = Scoring.of(experiment), numpy_generator(self.seed, "value", "pool")
        found: dict[str, Scores] = {}
        while len(found) < POOL:
            architecture = zf.spaces.load(experiment.space).sample(generator)
            if _least_flops(architecture) <= FLOPS:
                scores = scoring.score(architecture)
                if scores.values and not any(c.excess(scores.values[c.score]) > 0 for c in experiment.constraints):
                    found.setdefault(architecture.id, scores)
        return list(found.values())

    @cached_property
    def _data(self) -> tuple[data.Images, data.ImageSet]:
        images = data.load(self.experiment("data").train.data, self.experiment("data").task, self.seed)
        return images, images.test()

    def train(self, architectures: Sequence[Architecture]) -> list[dict[str, Any]]:
        """Return the trainings of architectures; what is in the ledger is not trained again."""
        return [self._trained(architecture) for architecture in architectures]

    def _trained(self, architecture: Architecture) -> dict[str, Any]:
        train = self.experiment("train").train
        recipe = [train.recipe.model_dump(), train.epochs, train.data.limit, train.data.validation]
        key = architecture.id, self.seed, hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
        if key not in self.known:
            row = dict(zip(("id", "seed", "recipe"), key, strict=True)) | self._measure(architecture)
            self.ledger.append([row])
            self.known[key] = row
        return self.known[key]

    def _measure(self, architecture: Architecture) -> dict[str, Any]:
        experiment = self.experiment("train")
        images, test = self._data
        space, train = zf.spaces.load(experiment.space), experiment.train
        network, start = space.network(architecture, experiment.task), time.process_time()
        curve = [
            epoch.metrics.get("val_accuracy")
            for epoch in loop.train(
                network, images, train.recipe, epochs=train.epochs, seed=self.seed, device=torch.device("cpu")
            )
        ]
        trained = time.process_time()
        accuracy = loop.evaluate(network, test, images).accuracy if None not in curve else None
        return {
            "architecture": space.notation(architecture),
            "validation": curve,
            "test_accuracy": accuracy,
            "train_seconds": round(trained - start, 3),
            "test_seconds": round(time.process_time() - trained, 3),
        }


def _least_flops(architecture: Architecture) -> int:
    """Return the multiply-adds of all blocks but the first of each stage, without building the network."""
    genes, total = {name: int(value) for name, value in architecture.genes}, 0
    for i in (1, 2, 3):
        inner = genes[f"w{i}"] // genes[f"b{i}"]
        pixels = (SIDE // 2 ** (i - 1)) ** 2
        total += (genes[f"d{i}"] - 1) * pixels * inner * (2 * genes[f"w{i}"] + 9 * genes[f"g{i}"])
    return total


Choice = tuple[list[Scores], dict[str, Any]]
"""The networks that an arm trained, and what it tells besides."""


def stratified_random(study: Study) -> Choice:
    """Train a random sample, stratified by FLOPs."""
    cost = torch.tensor([scores.values["flops"] for scores in study.pool], dtype=torch.float64).numpy()
    rows = stratified_rule(None, cost)(study.count, numpy_generator(study.seed, "value", "stratified"))
    return [study.pool[row] for row in rows], {}


def one_round(study: Study, name: str, *changes: str) -> Choice:
    """Train what a search with selection chooses."""
    archive = study.search(name, *changes)
    front = find_front(study.experiment(name, *changes, f"select={{k: {study.count}}}"), archive)
    by_id = {scores.architecture.id: scores for scores in archive}
    seconds = sum(sum(scores.seconds.values()) for scores in archive)
    chosen = [by_id[name] for name in front.selected]
    return chosen, {"front": len(front.members), "scoring_seconds": round(seconds, 1)}


def in_rounds(study: Study) -> Choice:
    """Train in rounds, with the functions of the pipeline: its archive is that of macro.yaml and the random pool."""
    experiment = study.experiment(f"rounds{study.count}", f"select={{k: {study.count}, rounds: {ROUNDS}}}")
    archive, view = study.search("macro"), Told()
    front = find_front(experiment, archive)
    front = select.with_first_round(experiment, front, study.pool, select.feasible(archive, experiment))
    scored = {scores.architecture.id: scores for scores in [*archive, *study.pool]}
    folder = RunFolder(study.work / "runs" / experiment.name)
    for number in range(2, ROUNDS + 1):
        curves = {name: _curve(study.train([scored[name].architecture])[0]) for name in front.selected}
        candidates = select.feasible(list(scored.values()), experiment)
        learned = learn(experiment, candidates, curves)
        if learned:
            found = search_again(learned, folder, view, "serial", number, list(scored.values()))
            scored = {scores.architecture.id: scores for scores in found} | scored
        candidates = select.feasible(list(scored.values()), experiment)
        known = Known(experiment, number, frozenset(front.selected), candidates, study.pool)
        chosen = by_model(known, learned) if learned else by_rule(known, None, "")
        front = front.with_round(chosen, [select.member_of(scored[name], experiment) for name in chosen.ids])
    return [scored[name] for name in front.selected], {"notes": view.said}


def _curve(training: dict[str, Any]) -> Curve:
    known = {epoch: value for epoch, value in enumerate(training["validation"], start=1) if value is not None}
    return Curve(known, None if len(known) == len(training["validation"]) else len(training["validation"]))


class Told:
    """A view that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def search(self, progress: SearchProgress) -> None:
        """Ignore the progress."""

    def trial(self, progress: TrialProgress) -> None:
        """Ignore the progress."""

    def notify(self, text: str) -> None:
        """Keep a line."""
        self.said.append(text)


ARMS: dict[str, Callable[[Study], Choice]] = {
    "stratified random": stratified_random,
    "macro.yaml": lambda study: one_round(study, "macro"),
    "rounds": in_rounds,
    "zen, depth at most 56": lambda study: one_round(study, "depth", DEPTH_ALONE),
}


def prepare(images: Path, work: Path) -> Path:
    """Use one thread, and return the folder of the small images."""
    torch.set_num_threads(1)
    return shrink(images, work / "images")


def trained_rows(
    work: Path, images: Path, arms: Sequence[str], seeds: Sequence[int], count: int
) -> Iterator[dict[str, Any]]:
    """Yield a row for every arm and seed: what was trained, and its costs.

    Each seed has its own ledger, so that several processes can work on different seeds.
    """
    for seed in seeds:
        with Ledger(work / f"trainings-{seed}.jsonl") as ledger:
            study = Study(work, images, seed, count, ledger)
            for arm in arms:
                chosen, told = ARMS[arm](study)
                trained = study.train([scores.architecture for scores in chosen])
                networks = [
                    {"id": row["id"], "accuracy": row["test_accuracy"], "validation": row["validation"]}
                    | {"seconds": row["train_seconds"]}
                    | {name: scores.values[name] for name in ("flops", "params", "depth")}
                    for row, scores in zip(trained, chosen, strict=True)
                ]
                yield {"arm": arm, "seed": seed, "count": count, "networks": networks} | told
