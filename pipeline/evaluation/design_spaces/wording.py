"""The comparison of design spaces in words and as tables."""

from collections.abc import Mapping

from zenfront.pipeline.analysis.assessment import holm
from zenfront.pipeline.analysis.distributions.studies import Spread
from zenfront.pipeline.evaluation.design_spaces.comparison import Comparison
from zenfront.pipeline.evaluation.design_spaces.pair import SIGNIFICANT, DifferenceTest, Interval, Pair
from zenfront.pipeline.wording import number

READING = (
    "F(e) is the share of the models with an error below e, so the curve of a better space lies further to the left. "
    "D is the Kolmogorov-Smirnov statistic, the largest distance of two curves, with the 95 % interval of a bootstrap "
    "over the models; p is the share of permutations of the models between the samples with at least the same D. At "
    "equal complexity, each bin of complexity has the same weight and permutations stay within the bins. The area is "
    "1 - sum of w min(1, e / epsilon). p is corrected (Holm) for the number of scores or settings, not of pairs."
)


def verdict(pair: Pair, *, score: bool = False) -> str:
    """Return a sentence that says which sample is better, or that no difference is shown.

    Args:
        pair: The two samples.
        score: Whether a score in place of the error was compared, which is drawn with higher values on the right.
    """
    test = pair.test
    complexity = f", at equal complexity {_in_words(pair.normalised)}" if pair.normalised else ""
    numbers = f"{_in_words(pair.plain)}{complexity}"
    if pair.better:
        other = pair.second if pair.better == pair.first else pair.first
        return f"{pair.better} lies {'right' if score else 'left'} of {other}: {numbers}"
    if test.p < SIGNIFICANT:
        return f"{pair.first} and {pair.second} cross, neither is better everywhere: {numbers}"
    return f"no difference is shown between {pair.first} and {pair.second}: {numbers}"


def _in_words(test: DifferenceTest | None) -> str:
    assert test is not None
    return f"D = {_interval(test.interval)}, {p_value(test.p)}"


def p_value(p: float) -> str:
    """Return ``p = 0.04`` or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _interval(interval: Interval) -> str:
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def sample_table(comparison: Comparison) -> tuple[list[str], list[list[object]]]:
    """Return the columns and the rows of the table of the samples."""
    columns = ["sample", "models", "lowest", "quartiles", "highest", "area", "area at equal complexity"]
    rows: list[list[object]] = []
    for one in comparison.distributions:
        errors = one.plain.errors
        quartiles = " / ".join(number(float(errors[round(q * (len(errors) - 1))])) for q in (0.25, 0.5, 0.75))
        ends = (number(float(errors[0])), quartiles, number(float(errors[-1])))
        rows.append([one.sample.name, len(errors), *ends, _area(one.area), _area(one.normalised_area)])
    return columns, rows


def _area(area: float | None) -> str:
    return "-" if area is None else f"{area:.3f}"


def pair_table(comparison: Comparison) -> tuple[list[str], list[list[object]]]:
    """Return the columns and the rows of the table of the pairs."""
    columns = ["samples", "D", "p", "p, asymptotic", "D at equal complexity", "p at equal complexity", "lies left"]
    rows: list[list[object]] = []
    for pair in comparison.pairs:
        equal = pair.normalised
        asymptotic = pair.plain.asymptotic_p
        rows.append(
            [
                f"{pair.first}, {pair.second}",
                _interval(pair.plain.interval),
                f"{pair.plain.p:.3g}",
                "-" if asymptotic is None else f"{asymptotic:.3g}",
                _interval(equal.interval) if equal else "-",
                f"{equal.p:.3g}" if equal else "-",
                pair.better or ("they cross" if (equal or pair.plain).p < SIGNIFICANT else "undecided"),
            ]
        )
    return columns, rows


def random_search_table(comparison: Comparison) -> tuple[list[str], list[list[object]]]:
    """Return the columns and the rows of the table of random search."""
    by_size: dict[int, dict[str, str]] = {}
    for one in comparison.distributions:
        for spread in one.random_search:
            by_size.setdefault(spread.size, {})[one.sample.name] = _spread(spread)
    names = [one.sample.name for one in comparison.distributions]
    return ["models", *names], [
        [size, *(row.get(name, "-") for name in names)] for size, row in sorted(by_size.items())
    ]


def _spread(spread: Spread) -> str:
    """Return mean ± 2 sd; of a single draw, the value alone."""
    return f"{spread.mean:.3g}" + ("" if spread.deviation is None else f" ± {2 * spread.deviation:.2g}")


def range_table(found: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> tuple[list[str], list[list[object]]]:
    """Return the columns and the rows of a table of the best ranges of hyper-parameters, by sample and name."""
    rows: list[list[object]] = [
        [sample, name, *map(number, interval)] for sample, ranges in found.items() for name, interval in ranges.items()
    ]
    return ["sample", "hyper-parameter", "2.5 %", "median", "97.5 %"], rows


def order_table(
    main: Comparison, others: Mapping[str, Comparison], kind: str, reference: str = "the errors"
) -> tuple[list[str], list[list[object]]]:
    """Return the columns and the rows of the table that says whether the order of the samples stays.

    The p-values are corrected (Holm) for the number of the others, not of the pairs; a sample that lies ahead is named,
    and its order judged, by the corrected one.

    Args:
        main: The comparison that the others are held against.
        others: Comparisons of the same samples by scores, or under other settings; `main` itself may be among them.
        kind: Name of the first column.
        reference: What the main comparison compares.
    """
    rows: dict[tuple[str, int], list[object]] = {}
    for position, expected in enumerate(main.pairs):
        pairs = {name: comparison.pairs[position] for name, comparison in others.items()}
        corrected = holm([pair.test.p for pair in pairs.values()])
        for (name, pair), p in zip(pairs.items(), corrected, strict=True):
            better, values = pair.ahead(p), (_interval(pair.test.interval), f"{pair.test.p:.3g}", f"{p:.3g}")
            agreement = "-" if pair is expected else _agreement(better, expected.better)
            samples = f"{pair.first}, {pair.second}"
            rows[name, position] = [name, samples, *values, better or "undecided", agreement]
    return [kind, "samples", "D", "p", "p, Holm", "better", f"order of {reference}"], [
        rows[name, position] for name in others for position in range(len(main.pairs))
    ]


def _agreement(better: str | None, expected: str | None) -> str:
    if expected is None:
        return "unknown: undecided there"
    if better is None:
        return "not shown"
    return "kept" if better == expected else "reversed"


def verdicts(comparison: Comparison, *, score: bool = False) -> list[str]:
    """Return a sentence for each pair."""
    return [verdict(pair, score=score) for pair in comparison.pairs]


def summary(comparison: Comparison, *, score: bool = False) -> list[str]:
    """Return the verdicts and what was left out, a line each."""
    return [*verdicts(comparison, score=score), *comparison.notes()]
