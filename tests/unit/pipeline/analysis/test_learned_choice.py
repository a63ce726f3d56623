"""The learned model and what it chooses, against other implementations of the same mathematics."""

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct

from zenfront.pipeline.analysis.learned import (
    Candidates,
    Encoder,
    Observations,
    Population,
    Prediction,
    agreement,
    choose,
    fit,
)
from zenfront.pipeline.analysis.learned.acquisition import expected_growth, staircase
from zenfront.pipeline.analysis.learned.model import Kernel, Model, Posterior


def _candidates(n: int = 40, d: int = 3, seed: int = 0) -> Candidates:
    generator = np.random.default_rng(seed)
    prior, size = generator.normal(size=(2, n))
    return Candidates(generator.normal(size=(n, d)), prior, size, generator.uniform(1, 9, n))


def test_the_posterior_is_that_of_scikit_learn() -> None:
    """With the prior as the only feature, the slope is a dot product; the expected slope is taken off beforehand."""
    column, rows = np.random.default_rng(1).normal(size=40), np.arange(12)
    candidates = Candidates(column[:, None], column, np.zeros(40), np.ones(40))
    target = np.random.default_rng(2).normal(size=12)
    model = Model(candidates.select(rows), np.ones(12), target, Kernel(1.5, 0.7), 0.1, 0.4, 1.0, 0.0, 1.0)
    posterior = model.posterior(candidates)
    kernel = ConstantKernel(1.0) + RBF(1.5) + ConstantKernel(0.7) * DotProduct(1e-9)
    reference = GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None)
    reference.fit(column[rows, None], target - 0.4 * column[rows])
    mean, sd = reference.predict(column[:, None], return_std=True)
    np.testing.assert_allclose(posterior.mean, mean + 0.4 * column, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(posterior.variance), sd, atol=1e-6)


def test_a_believed_training_conditions_the_posterior() -> None:
    candidates, kernel = _candidates(), Kernel(1.5, 0.7)
    posterior = Posterior(candidates, kernel, 0.1, np.zeros(40), kernel.variance(candidates), ())
    believed = posterior.believe(3).believe(8)
    k, rows = kernel(candidates, candidates), [3, 8]
    np.testing.assert_allclose(np.diag(k), kernel.variance(candidates))
    left = k - k[:, rows] @ np.linalg.inv(k[np.ix_(rows, rows)] + 0.1 * np.eye(2)) @ k[rows]
    np.testing.assert_allclose(believed.variance, np.diag(left), atol=1e-9)
    np.testing.assert_allclose(believed.covariance(np.arange(40)), left, atol=1e-9)


def test_the_expected_growth_is_that_of_draws() -> None:
    generator = np.random.default_rng(2)
    prediction = Prediction(np.array([0.2, -1.0, 1.0]), np.array([0.5, 1.0, 0.1]), 95.0)
    cost, levels, best = np.array([2.0, 5.0, 9.0]), np.array([1.0, 2.0, 4.0, 9.0]), np.array([93.0, 93.5, 94.0, 94.2])
    draws = prediction.mean + prediction.sd * generator.normal(size=(400_000, 3))
    accuracy = 95.0 - np.exp(-draws)
    grown = np.maximum(0.0, accuracy[:, :, None] - best) * (levels >= cost[:, None])
    np.testing.assert_allclose(
        expected_growth(prediction, cost, levels, best), grown.sum(2).mean(0), rtol=0.02, atol=1e-4
    )


def test_the_staircase_is_the_best_accuracy_at_most_at_each_level() -> None:
    found = staircase(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 2.0]), np.array([5.0, 4.0, 6.0]))
    assert found.tolist() == [4.0, 6.0, 6.0]


def test_the_best_of_a_smooth_function_is_found() -> None:
    grid = np.linspace(0, 1, 200)[:, None]
    accuracy = 90 - 40 * (grid[:, 0] - 0.7) ** 2
    population = Population({}, np.ones(200), {"x": grid})
    candidates = Encoder.of(population).encode(population)
    known = np.array([0, 60, 199])
    for _ in range(3):
        model = fit(candidates, Observations.complete(known, accuracy[known]))
        known = np.append(known, choose(model, candidates, 2, known).picked)
    assert accuracy[known].max() > 89.9


def test_rows_are_encoded_one_by_one() -> None:
    generator = np.random.default_rng(3)
    scores = {"a": generator.normal(size=30), "b": np.where(np.arange(30) % 5, generator.normal(size=30), np.nan)}
    population = Population(scores, generator.uniform(size=30), {"g": generator.normal(size=(30, 4))}, ("a", "b"))
    encoder = Encoder.of(population)
    alone = Population(
        {k: v[:1] for k, v in scores.items()}, population.cost[:1], {"g": population.structure["g"][:1]}, ("a", "b")
    )
    every, one = encoder.encode(population), encoder.encode(alone)
    np.testing.assert_array_equal(one.features[0], every.features[0])
    assert one.prior[0] == every.prior[0]
    assert np.isfinite(every.features).all()


def test_agreement_with_a_constant_is_undefined() -> None:
    assert agreement(np.ones(5), np.arange(5.0)).value is None
    assert agreement(np.arange(5.0), np.arange(5.0)).value == 1.0
