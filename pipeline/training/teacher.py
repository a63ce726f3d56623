"""Knowledge distillation: a trained network whose class probabilities others learn from."""

import io
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass
from torch.nn import functional as F

from zenfront.pipeline.training.data import Images


@dataclass(frozen=True)
class Teacher:
    """A teacher and its part in the loss; sent to the workers, who need neither its library nor its files.

    Attributes:
        program: Archive of torch.export with the function from pixel values (N, C, H, W), 0 .. 255 in float32, at the
            size of the task, to logits (N, K).
        digest: SHA-256 of its weights, its size and its normalisation, in hexadecimal digits.
        weight: Weight of its part in the loss, 0 < weight <= 1.
        temperature: Temperature of both distributions.
    """

    program: bytes
    digest: str
    weight: float
    temperature: float

    def identity(self) -> dict[str, Any]:
        """Return what a training run depends on, as JSON values."""
        counted = {"teacher": self.digest[:16], "weight": self.weight, "temperature": self.temperature}
        return {"distillation": counted}


class Lesson:
    """A teacher on the device of a training.

    Args:
        teacher: The teacher.
        images: Data of the training; they have the normalisation of its images.
        device: Device of the training.
    """

    def __init__(self, teacher: Teacher, images: Images, device: torch.device) -> None:
        program = torch.export.load(io.BytesIO(teacher.program))
        if device.type != "cpu":
            program = move_to_device_pass(program, device)
        self._logits = program.module()
        self._teacher = teacher
        self._mean, self._std = (moment.to(device)[:, None, None] for moment in (images.mean, images.std))

    def mixed(self, loss: Tensor, logits: Tensor, x: Tensor) -> Tensor:
        """Return (1 - w) loss + w T^2 KL(p || q), p = softmax(z / T) of the teacher and q that of the network.

        Args:
            loss: Mean loss of the mini-batch with its labels.
            logits: Logits (N, K) of the network.
            x: Normalised images (N, C, H, W), which the teacher sees as they are, augmented and mixed.

        Source: Hinton, Vinyals, Dean, 2015, arXiv:1503.02531, sec. 2; T^2 keeps the size of the gradients.
        """
        weight, temperature = self._teacher.weight, self._teacher.temperature
        with torch.no_grad():
            target = F.log_softmax(self._logits(x * self._std + self._mean).float() / temperature, 1)
        found = F.log_softmax(logits.float() / temperature, 1)
        divergence = F.kl_div(found, target, reduction="batchmean", log_target=True)
        return (1 - weight) * loss + weight * temperature**2 * divergence
