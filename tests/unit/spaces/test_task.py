"""A task has classes or outputs; what was stored before there were outputs is stored the same."""

import pytest
from pydantic import TypeAdapter

from zenfront import spaces
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Task

TASKS = TypeAdapter(Task)


@pytest.mark.parametrize(
    ("task", "stored", "words"),
    [
        (Task(3, 32, 16, 10), b'{"channels":3,"height":32,"width":16,"classes":10}', "3 × 32 × 16 images, 10 classes"),
        (Task(1, 8, 8, outputs=1), b'{"channels":1,"height":8,"width":8,"outputs":1}', "1 × 8 × 8 images, 1 output"),
    ],
)
def test_a_task_is_stored_without_the_key_that_it_lacks(task: Task, stored: bytes, words: str) -> None:
    assert TASKS.dump_json(task) == stored
    assert TASKS.validate_json(stored) == task
    assert str(task) == words


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "must have either `classes` or `outputs`, but got neither"),
        ({"classes": 2, "outputs": 2}, r"but got \(classes=2, outputs=2\)"),
        ({"classes": 1}, "`classes` of a task must be at least 2, but got 1"),
        ({"outputs": 0}, "`outputs` of a task must be at least 1, but got 0"),
    ],
)
def test_a_task_has_one_of_the_two(keys: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Task(1, 8, 8, **keys)


@pytest.mark.parametrize("name", spaces.names())
def test_every_space_builds_as_many_outputs_as_classes(name: str) -> None:
    space, generator = spaces.load(name), numpy_generator(0, "outputs")
    classes, outputs = Task(3, 64, 64, 5), Task(3, 64, 64, outputs=5)
    architecture = next(a for a in (space.sample(generator) for _ in range(100)) if not space.violation(a, classes))
    assert space.violation(architecture, outputs) is None
    built = [space.network(architecture, task).state_dict() for task in (classes, outputs)]
    assert [value.shape for value in built[0].values()] == [value.shape for value in built[1].values()]
