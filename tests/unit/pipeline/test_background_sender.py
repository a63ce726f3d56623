"""The thread that keeps a copy up to date: what it tells, and how it ends."""

from collections.abc import Callable
from queue import Queue
from threading import Event

import pytest

from zenfront.pipeline.record.copies.background import ENOUGH, BackgroundSender

PATIENCE = 500


class Place:
    """Somewhere to send to, that can break."""

    def __init__(self) -> None:
        self.calls = Queue[int]()
        self.broken = False
        self.number = 0

    def send(self) -> None:
        self.number += 1
        self.calls.put(self.number)
        if self.broken:
            raise OSError("it is down")


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def start(place: Place, said: list[str]) -> Callable[..., BackgroundSender]:
    def make(period: float = 0.001, delay: float = 0.0) -> BackgroundSender:
        sender = BackgroundSender(
            place.send,
            said.append,
            name="sender",
            complaint=lambda error: f"Sorry: {error}.",
            reason=str,
            period=period,
            delay=delay,
        )
        sender.start()
        return sender

    return make


def test_it_sends_again_and_again_and_at_the_end(place: Place, start: Callable[..., BackgroundSender]) -> None:
    sender = start()
    assert [place.calls.get() for _ in range(5)] == [1, 2, 3, 4, 5]
    before = place.number
    assert sender.close(PATIENCE)
    assert place.number > before


def test_what_is_down_is_told_once_however_long(
    place: Place, said: list[str], start: Callable[..., BackgroundSender]
) -> None:
    place.broken = True
    sender = start()
    while place.calls.get() < 5 * ENOUGH:
        pass
    assert said == ["Sorry: it is down. The work goes on without it."]
    assert not sender.close(PATIENCE)
    assert sender.trouble == "it is down"
    assert len(said) == 1


def test_a_failure_that_is_over_at_the_end_is_no_trouble(place: Place, start: Callable[..., BackgroundSender]) -> None:
    place.broken = True
    sender = start()
    place.calls.get()
    place.broken = False
    assert sender.close(PATIENCE)
    assert sender.trouble == ""


def test_it_sends_at_once_when_it_is_poked(place: Place, start: Callable[..., BackgroundSender]) -> None:
    sender = start(period=10_000, delay=10_000)
    sender.poke()
    assert place.calls.get(timeout=PATIENCE) == 1
    assert sender.close(PATIENCE)


def test_it_is_not_waited_for_longer_than_the_patience(said: list[str]) -> None:
    release, entered = Event(), Event()

    def hang() -> None:
        entered.set()
        release.wait()

    sender = BackgroundSender(hang, said.append, name="hangs", complaint=str, reason=str, period=1)
    sender.start()
    entered.wait()
    assert not sender.close(0.01)
    release.set()
    assert sender.close(PATIENCE)
