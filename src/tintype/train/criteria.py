"""What the reference systems are trained to make small: losses by name, adversarial pairs, and penalties on weights.

Every function returns a scalar, float32 whatever came in (a half's range is too small for logarithms), and a finite gradient
for finite arguments. Means are over all elements, so that losses compare across sizes. Tensors are (N, C, H, W).
`losses.py` is Tintype's own network's and has nothing to do with these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tintype.cielab import CLASSES
from tintype.errors import UsageError
from tintype.train.ab_classes import soften

Criterion = Callable[[Tensor, Tensor], Tensor]
ClassCriterion = Callable[[Tensor, Tensor, Tensor | None], Tensor]

#: Probabilities are kept this far from 0 and 1 in `bce`, as in Keras, which R1 was trained with.
BCE_EDGE = 1e-7
#: What the discriminator is told of a real picture, instead of 1 (Salimans et al. 2016, section 3.4, one-sided).
REAL_LABEL = 0.9
#: The weight of the absolute error beside the adversarial loss (Isola et al. 2017, section 3.3).
L1_WEIGHT = 100.0


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error, sum (x - y)^2 / n over all n values (R1, R5, the L2 form of R2 and R3); >= 0, in the arguments' unit squared."""
    return F.mse_loss(*_alike(prediction, target))


def mae(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error, sum |x - y| / n over all n values (R7's and R8's L1); >= 0, in the arguments' unit."""
    return F.l1_loss(*_alike(prediction, target))


def smooth_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of 0.5 e^2 where |e| < 1 and |e| - 0.5 elsewhere, e = x - y (Girshick 2015, equation 3; R1); >= 0.

    For values in [0, 1] no error reaches 1, so it is half of `mse` there.
    """
    return F.smooth_l1_loss(*_alike(prediction, target), beta=1.0)


def bce(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of -y log x - (1 - y) log(1 - x) for x and y in [0, 1], x the prediction (R1, on RGB); >= 0.

    x is clipped to [1e-7, 1 - 1e-7] first. The least value is reached at x = y and is y's entropy, not 0.
    """
    x, y = _alike(prediction, target)
    x = x.clamp(BCE_EDGE, 1 - BCE_EDGE)
    return -(y * x.log() + (1 - y) * torch.log1p(-x)).mean()


def cross_entropy(logits: Tensor, ab: Tensor, weights: Tensor | None = None) -> Tensor:
    """Class cross-entropy of logits (N, 313, h, w) with the soft encoding z of the true ab (N, 2, h, w), rare colours weighted up.

    -(1 / Nhw) sum over pixels of v sum_q z_q log softmax(logits)_q, with v = weights[z's largest class] (Zhang, Isola, Efros 2016,
    equations 2 and 3, but the mean over pixels instead of the sum; R2, R3). weights (313,) are `ab_classes.rebalance`'s, or
    None for 1 each. >= 0; log 313 = 5.75 for a network that knows nothing and weights of 1; z's entropy at best.
    """
    likely, v, z = _read(logits, ab, weights)
    return -(v * (z * likely).sum(1)).mean()


def kl(logits: Tensor, ab: Tensor, weights: Tensor | None = None) -> Tensor:
    """Kullback-Leibler divergence of the prediction from the soft encoding z: `cross_entropy` less z's own entropy.

    (1 / Nhw) sum over pixels of v sum_q z_q (log z_q - log softmax(logits)_q), arguments as there. >= 0, 0 for a perfect
    prediction; its gradient is cross-entropy's.
    """
    likely, v, z = _read(logits, ab, weights)
    return (v * (torch.xlogy(z, z) - z * likely).sum(1)).mean()


#: name -> loss(prediction, target), for networks whose output is rgb or ab.
CRITERIA: dict[str, Criterion] = {"mse": mse, "mae": mae, "smooth_l1": smooth_l1, "bce": bce}
#: name -> loss(logits, true ab, class weights), for networks whose output is classes.
CLASS_CRITERIA: dict[str, ClassCriterion] = {"cross_entropy": cross_entropy, "kl": kl}


def criterion(name: str, weights: Tensor | None = None) -> Criterion:
    """The loss called `name`, of either dict; class weights (313,) are for those over classes.

    Raises UsageError for an unknown name, and for weights given to a loss that has no classes.
    """
    if name in CLASS_CRITERIA:
        loss = CLASS_CRITERIA[name]
        return lambda logits, ab: loss(logits, ab, weights)
    if name not in CRITERIA:
        raise UsageError(f"there is no loss {name!r}; known: {', '.join([*CRITERIA, *CLASS_CRITERIA])}")
    if weights is not None:
        raise UsageError(f"the loss {name!r} has no classes to weight; {' and '.join(CLASS_CRITERIA)} do")
    return CRITERIA[name]


def discriminator_loss(real: Tensor, fake: Tensor, label: float = REAL_LABEL) -> Tensor:
    """What the discriminator minimizes, from its logits (any shape) for real pictures and for the generator's.

    mean(-s log D(real) - (1 - s) log(1 - D(real))) + mean(-log(1 - D(fake))), D the sigmoid of the logits, s the smoothed
    label (Goodfellow et al. 2014, equation 1; R7, R8). 2 log 2 = 1.39 for one that can't tell; at best the entropy of s,
    0.325 for 0.9. The sum of the two terms, not their mean: R8's published losses, about 1, are of that size.
    `fake` must come from a detached picture, or the generator learns to be found out.
    """
    told = F.binary_cross_entropy_with_logits(real.float(), torch.full_like(real, label, dtype=torch.float32))
    return told + F.softplus(fake.float()).mean()


def generator_loss(fake: Tensor, prediction: Tensor, target: Tensor, weight: float = L1_WEIGHT) -> Tensor:
    """What the generator minimizes: mean(-log D) + weight * mean |prediction - target|.

    fake: the discriminator's logits (any shape) for the prediction, D their sigmoid (the non-saturating form, Goodfellow et al. 2014,
    section 3; Isola et al. 2017, equation 4; R7, R8). The absolute error is a mean: R8's first row, 19.70 at an error
    of 0.19, is 0.7 + 100 * 0.19.
    """
    return F.softplus(-fake.float()).mean() + weight * mae(prediction, target)


def l1_penalty(parameters: Iterable[Tensor]) -> Tensor:
    """Sum of |w| over all parameters (lasso; R1); the caller scales it. Raises ValueError where there are none."""
    return _total(w.float().abs().sum() for w in parameters)


def l2_penalty(parameters: Iterable[Tensor]) -> Tensor:
    """Sum of w^2 over all parameters, not halved (ridge; R1); the caller scales it. Raises ValueError where there are none."""
    return _total(w.float().square().sum() for w in parameters)


#: name -> penalty(parameters); `kernels` says of which parameters.
PENALTIES: dict[str, Callable[[Iterable[Tensor]], Tensor]] = {"l1": l1_penalty, "l2": l2_penalty}


def kernels(net: nn.Module) -> list[nn.Parameter]:
    """The trainable weights of convolutions and dense layers, which penalties are meant for.

    Neither biases nor normalizations' weights, which have one axis.
    """
    return [w for w in net.parameters() if w.requires_grad and w.ndim > 1]


def _alike(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32. Raises ValueError where they would be broadcast: a mean over pairs that nobody meant."""
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    return prediction.float(), target.float()


def _read(logits: Tensor, ab: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Of the 5 classes of the true ab: their predicted log-probabilities (N, 5, h, w), the pixels' weights (N, h, w) and z (N, 5, h, w).

    Only those 5 count in the sums, as z is 0 elsewhere: no dense (N, 313, h, w) target is ever made.
    """
    n, _, h, w = ab.shape
    if logits.shape != (n, CLASSES, h, w) or ab.shape[1] != 2:
        raise ValueError(
            f"logits {tuple(logits.shape)} and ab {tuple(ab.shape)} don't fit; expected (N, {CLASSES}, h, w) and (N, 2, h, w)"
        )
    classes, z = soften(ab)
    likely = F.log_softmax(logits.float(), 1).gather(1, classes)
    v = torch.ones_like(z[:, 0]) if weights is None else weights.to(z)[classes[:, 0]]
    return likely, v, z


def _total(terms: Iterable[Tensor]) -> Tensor:
    found = list(terms)
    if not found:
        raise ValueError("there are no parameters to penalize")
    return torch.stack(found).sum()
