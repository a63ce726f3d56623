"""Measured costs that a search predicts: some architectures are measured first, and a model learns from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.analysis.learned import LEAST_MEASURED, CostModel, Population, fit_cost
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Objective, violations
from zenfront.pipeline.progress import View
from zenfront.pipeline.proxies._devices import modelled
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.pilot import COST
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.search.drawing import draw_architectures
from zenfront.pipeline.structure.genes import gene_row
from zenfront.pipeline.structure.graph import COLUMNS
from zenfront.spaces import Architecture

Score = Callable[[Experiment, RunFolder, Sequence[Architecture], bool], Sequence[Scores]]
"""Takes the scores of architectures, with a folder as the record; their graphs are counted. The last argument says
whether failures are tried again."""


@dataclass(frozen=True, eq=False)
class PredictedCosts:
    """Models of the costs that a search does not measure.

    All architectures get the value that the model expects, the measured ones as well: a measurement next to a
    prediction would win or lose by its noise.

    Attributes:
        experiment: The experiment.
        models: Model by the name of the cost, at least one.
    """

    experiment: Experiment
    models: Mapping[str, CostModel]

    def without(self, scoring: Scoring) -> Scoring:
        """Return the scoring that workers do: without these costs, but with the graphs from which they follow."""
        names = [name for name in scoring.names if name not in self.models]
        return replace(scoring, names=names or [COST], describe=True)

    def complete(self, scored: Sequence[Scores]) -> list[Scores]:
        """Return scores with the costs added, in their order; infeasible architectures stay without them."""
        excess = violations(scored, self.experiment.constraints)
        here = [scores for scores, much in zip(scored, excess, strict=True) if not much]
        if not here:
            return list(scored)
        known = population_of(self.experiment, here)
        found = {scores.architecture.id: scores for scores in here}
        for name, model in self.models.items():
            for scores, value, error in zip(here, *model.predict(known), strict=True):
                before = found[scores.architecture.id]
                values, errors = {**before.values, name: float(value)}, {**before.errors, name: float(error)}
                found[scores.architecture.id] = replace(before, values=values, errors=errors)
        return [found.get(scores.architecture.id, scores) for scores in scored]


def predict_costs(experiment: Experiment, folder: RunFolder, view: View, score: Score) -> PredictedCosts | None:
    """Measure costs on some architectures, as far as they are not measured, and fit models to them.

    Args:
        experiment: The experiment; the option ``model`` of a measured cost says on how many.
        folder: Folder of the run.
        view: Display of the work.
        score: Takes the measurements.

    Returns:
        The models; None if the experiment measures every architecture.

    Raises:
        UserError: Too few measurements succeeded.
    """
    counts = modelled((proxies.load(name, experiment.code) for name in experiment.score_names()), experiment.proxies)
    models = {name: _fitted(experiment, folder, view, score, name, count) for name, count in counts.items()}
    return PredictedCosts(experiment, models) if models else None


def _fitted(experiment: Experiment, folder: RunFolder, view: View, score: Score, name: str, count: int) -> CostModel:
    place = folder.measured(name)
    key = f"proxies.{name}.model"
    chosen = draw_architectures(experiment, count, name)
    if not place.scores.exists():
        view.notify(f"search: measuring {name} on {count} architectures, from which it is predicted ({key})")
    rows = score(_measuring(experiment, name), place, chosen, not place.model.exists())
    measured = [row for row in rows if row.values.get(name, 0.0) > 0]
    if len(measured) < LEAST_MEASURED:
        reason = next((row.failure for row in rows if row.failure), "the value is not positive")
        raise UserError(
            f"{key}: a model needs {LEAST_MEASURED} measured architectures, but only {len(measured)} of {len(rows)} "
            f"have a value: {reason}. When the cause is removed, the same command measures the others."
        )
    model = fit_cost(population_of(experiment, measured), np.array([row.values[name] for row in measured]))
    view.notify(f"search: {name} is predicted {model.error}")
    write_json(place.model, asdict(model.error))
    return model


def _measuring(experiment: Experiment, name: str) -> Experiment:
    """Return the experiment that measures one cost and nothing else."""
    direction = proxies.load(name, experiment.code).direction
    options = {option: value for option, value in experiment.proxies[name].items() if option != "model"}
    changes = {
        "objectives": (Objective(name, direction),),
        "constraints": (),
        "proxies": {**experiment.proxies, name: options},
    }
    return experiment.model_copy(update=changes)


def population_of(experiment: Experiment, scored: Sequence[Scores]) -> Population:
    """Return genes and graphs of architectures; a graph that is not known counts as the mean."""
    space = spaces.load(experiment.space, experiment.code)
    unknown = (np.nan,) * len(COLUMNS)
    graphs = np.array([scores.graph or unknown for scores in scored])
    genes = np.array([gene_row(space, scores.architecture) for scores in scored])
    work = graphs[:, COLUMNS.index("multiply-adds")]
    return Population({}, np.nan_to_num(work), {"genes": genes, "graph": graphs})
