"""Losses of training recipes."""

from torch import Tensor
from torch.nn import functional as F

from zenfront.pipeline.experiment.recipe import Recipe


def loss_of(logits: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
    """Return the mean loss of a mini-batch.

    Args:
        logits: Logits (N, K).
        targets: Class probabilities (N, K).
        recipe: Recipe that selects the loss, and has the label smoothing.

    Returns:
        The cross-entropy in nats, a mean over the images; or the binary one, a mean over images and classes.

    Source: binary cross-entropy as in timm 1.0, loss/binary_cross_entropy.py (Wightman et al., 2021, arXiv:2110.00476).
    """
    if recipe.loss == "cross_entropy":
        return F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
    smooth = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / targets.shape[1]
    if recipe.target_threshold:
        smooth = (smooth > recipe.target_threshold).to(smooth.dtype)
    return F.binary_cross_entropy_with_logits(logits.float(), smooth)
