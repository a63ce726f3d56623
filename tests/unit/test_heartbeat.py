"""What is waited for is said if nothing else was said for a while."""

import queue

from zenfront.pipeline.cli.terminal.console import training_line
from zenfront.pipeline.cli.terminal.heartbeat import Heartbeat
from zenfront.pipeline.progress import TrialProgress


def test_it_says_what_is_waited_for_and_ends() -> None:
    said: queue.Queue[str] = queue.Queue()
    heartbeat = Heartbeat(said.put, period=0.02)
    heartbeat.start()
    heartbeat.wait_for("Ray")
    assert said.get(timeout=30).startswith("waiting for Ray (")
    heartbeat.set(lambda: "3/24 scored")
    while said.get(timeout=30) != "3/24 scored":
        pass
    heartbeat.stop()


def test_it_is_silent_while_others_speak() -> None:
    said: list[str] = []
    heartbeat = Heartbeat(said.append, period=1000)
    heartbeat.wait_for("Ray")
    heartbeat.start()
    heartbeat.stop()
    assert said == []


def test_training_in_one_line() -> None:
    states = [("a-0", "running", 3), ("b-0", "running", 1), ("c-0", "waiting", 0)]
    trials = [TrialProgress(name, state, epoch, 9) for name, state, epoch in states]  # type: ignore[arg-type]
    assert training_line(trials) == "training: 2 running, 1 waiting · a-0 epoch 3/9 · b-0 epoch 1/9"
