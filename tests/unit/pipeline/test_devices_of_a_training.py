"""Several devices of a training: what does not fit is one message before anything is computed."""

import pytest

from zenfront.pipeline.checks import check_data
from zenfront.pipeline.checks.devices import check_devices
from zenfront.pipeline.checks.estimate import local_workers
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment, with_overrides
from zenfront.pipeline.experiment.places import TrainWorkers


def experiment(*overrides: str) -> Experiment:
    return with_overrides(load_experiment("smoke"), overrides)


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (
            "{devices: 2, gpus: 0.5}",
            r"resources.train: `gpus` must be 1 or 0 with several devices.*devices=2, gpus=0.5",
        ),
        ("{devices: 0}", r"resources.train.devices: must be greater than or equal to 1"),
        ("{devices: 100000}", r"resources.train.devices: must be less than or equal to 1024"),
    ],
)
def test_values_that_mean_nothing(devices: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        experiment(f"resources.train={devices}")


def test_a_mini_batch_must_have_an_image_for_each_device() -> None:
    check_devices(experiment("train.recipe.batch_size=16", "resources.train.devices=16"))
    with pytest.raises(UserError, match=r"resources.train.devices: a mini-batch of 16 images is too small for 17 dev"):
        check_devices(experiment("train.recipe.batch_size=16", "resources.train.devices=17"))
    few = experiment(
        "train.recipe.batch_size=64", "resources.train.devices=20", "train.data.limit=20", "search.batch=2"
    )
    check_devices(few)
    with pytest.raises(UserError, match=r"a mini-batch of 1\d images is too small for 20 devices"):
        check_data(few)  # some of the 20 images are held out for validation


def test_the_number_of_devices_is_no_part_of_what_is_computed() -> None:
    assert experiment("resources.train.devices=4").identity() == experiment().identity()


def test_the_workers_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert local_workers(TrainWorkers(cpus=2, devices=4)) == 2
