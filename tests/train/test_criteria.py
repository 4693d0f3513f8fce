"""The reference systems' losses against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tintype.errors import UsageError
from tintype.train import ab_classes, criteria

#: Soft encoding of a centre: 1 and four times e^-2, over their sum 1.541341; and its entropy,
#: 0.648786 * 0.432653 + 4 * 0.087803 * 2.432653.
CENTRE, NEIGHBOUR, ENTROPY = 0.648786, 0.087803, 1.135078


def row(*values):
    """Values as (1, 1, 1, n), wanting a gradient."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1).requires_grad_()


def ab(*pairs):
    """Colours as (1, 2, 1, n)."""
    return torch.tensor(pairs, dtype=torch.float32).T[None, :, None]


def number(a, b):
    """The class of a colour."""
    return int(ab_classes.nearest(ab((a, b))))


@pytest.mark.parametrize(
    ("name", "prediction", "target", "expected"),
    [
        ("mse", (0, 0.5, 1, 0.2), (0, 0, 0, 1), 0.4725),  # (0 + 0.25 + 1 + 0.64) / 4
        ("mae", (0, 0.5, 1, 0.2), (0, 0, 0, 1), 0.575),  # (0 + 0.5 + 1 + 0.8) / 4
        ("smooth_l1", (0.5, 2, -3, 1), (0, 0, 0, 1), 1.03125),  # (0.125 + 1.5 + 2.5 + 0) / 4
        ("smooth_l1", (1.0,), (0.0,), 0.5),  # where both halves meet
        ("bce", (0.8, 0.25, 0.5), (1, 0, 0.5), 0.401324),  # (0.223144 + 0.287682 + 0.693147) / 3
        ("bce", (0.0,), (1.0,), 16.118096),  # -log 1e-7
        ("bce", (0.3,), (0.3,), 0.610864),  # the entropy of 0.3, its least
    ],
)
def test_pixel_losses_by_hand(name, prediction, target, expected):
    assert criteria.criterion(name)(row(*prediction), row(*target)).item() == pytest.approx(expected, rel=1e-5)


def test_pixel_losses_are_least_at_the_target():
    target = torch.rand(2, 3, 4, 5, generator=torch.manual_seed(0))
    for loss in criteria.CRITERIA.values():
        least = loss(target, target)
        assert all(loss((target + step).clamp(0, 1), target) > least for step in (-0.01, 0.01))


def test_class_losses_by_hand():
    logits = torch.zeros(1, 313, 1, 1)
    target = ab((20, -30))
    assert criteria.cross_entropy(logits, target).item() == pytest.approx(math.log(313), rel=1e-6)
    assert criteria.kl(logits, target).item() == pytest.approx(5.746203 - ENTROPY, rel=1e-5)
    # A logit of 3 on the right class: log(e^3 + 312) = 5.805392, less 3 of it for the class itself.
    logits[0, number(20, -30)] = 3
    assert criteria.cross_entropy(logits, target).item() == pytest.approx(5.805392 - 3 * CENTRE, rel=1e-5)
    # On a neighbour it helps less.
    logits = logits.roll(number(30, -30) - number(20, -30), 1)
    assert criteria.cross_entropy(logits, target).item() == pytest.approx(5.805392 - 3 * NEIGHBOUR, rel=1e-5)


def test_a_pixel_counts_as_much_as_its_dominant_class_is_rare():
    weights = torch.ones(313)
    weights[number(0, 0)], weights[number(50, 50)] = 0.5, 4.0
    # Three pixels, the second nearer to (50, 50) than to (40, 50), on logits that know nothing: mean of 0.5, 4 and 1.
    target, logits = ab((0, 0), (46, 50), (-40, 20)), torch.zeros(1, 313, 1, 3)
    assert criteria.cross_entropy(logits, target, weights).item() == pytest.approx(5.5 / 3 * math.log(313), rel=1e-5)
    for name in criteria.CLASS_CRITERIA:
        loss = criteria.criterion(name, weights)(logits, target).item()
        each = [
            criteria.criterion(name)(logits[..., k : k + 1], target[..., k : k + 1]).item() * w
            for k, w in enumerate((0.5, 4, 1))
        ]
        assert loss == pytest.approx(sum(each) / 3, rel=1e-5)


def test_rebalancing_leaves_the_mean_loss_of_the_data_it_was_measured_on():
    rng = np.random.default_rng(0)
    colours = np.float32(rng.normal(0, 15, (40, 50, 2)))
    weights = ab_classes.rebalance(ab_classes.prior([colours]))
    target = torch.from_numpy(colours)[None].movedim(-1, 1)
    loss = criteria.cross_entropy(torch.zeros(1, 313, 40, 50), target, torch.from_numpy(weights))
    assert loss.item() == pytest.approx(math.log(313), rel=1e-4)


def test_kl_is_cross_entropy_less_a_constant_and_ends_at_nothing():
    target = torch.rand(2, 2, 3, 4, generator=torch.manual_seed(0)) * 60 - 30
    logits = torch.randn(2, 313, 3, 4).requires_grad_()
    by_kl, by_cross = (torch.autograd.grad(loss(logits, target), logits)[0] for loss in (criteria.kl, criteria.cross_entropy))  # fmt: skip
    assert torch.allclose(by_kl, by_cross, atol=1e-8) and by_kl.abs().max() > 1e-3
    perfect = ab_classes.dense(*ab_classes.soften(target)).clamp_min(1e-12).log().requires_grad_()
    loss = criteria.kl(perfect, target)
    assert loss.abs().item() < 1e-5
    assert torch.autograd.grad(loss, perfect)[0].abs().max() < 1e-6
    assert criteria.kl(perfect + 0.5 * torch.randn(2, 313, 3, 4), target) > 1e-3


def test_gan_losses_by_hand():
    # Undecided: -log 1/2 twice, whatever the label.
    assert criteria.discriminator_loss(row(0), row(0, 0)).item() == pytest.approx(1.386294, rel=1e-6)
    # D(real) = 0.9 is what it is told: the entropy of 0.9. D(fake) = 3/4: -log 1/4.
    assert criteria.discriminator_loss(row(math.log(9)), row(-50)).item() == pytest.approx(0.325083, rel=1e-5)
    assert criteria.discriminator_loss(row(math.log(9)), row(math.log(3))).item() == pytest.approx(1.711377, rel=1e-5)
    assert criteria.discriminator_loss(row(50), row(-50), label=1.0).item() == pytest.approx(0, abs=1e-6)
    # Smoothed labels punish certainty: 0.1 of a logit of 50.
    assert criteria.discriminator_loss(row(50), row(-50)).item() == pytest.approx(5, rel=1e-5)
    # R8's first row: log 2 + 100 * 0.19.
    assert criteria.generator_loss(row(0), row(0.19, 0.5), row(0, 0.31)).item() == pytest.approx(19.693147, rel=1e-5)
    # D(fake) = 3/4: -log 3/4 + 10 * 0.5.
    assert criteria.generator_loss(row(math.log(3)), row(1), row(0.5), 10.0).item() == pytest.approx(5.287682, rel=1e-5)


def test_penalties_by_hand():
    parameters = [torch.tensor([[1.0, -2.0, 3.0]]), torch.tensor([[0.5]])]
    assert criteria.PENALTIES["l1"](parameters).item() == 6.5
    assert criteria.PENALTIES["l2"](iter(parameters)).item() == 14.25
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    assert [w.shape for w in criteria.kernels(net)] == [(2, 1, 3, 3), (2, 2)]
    net[0].requires_grad_(False)
    assert [w.shape for w in criteria.kernels(net)] == [(2, 2)]
    for penalty in criteria.PENALTIES.values():
        with pytest.raises(ValueError, match="no parameters"):
            penalty([])


def test_gradients_are_finite_at_the_extremes():
    edges, opposite = row(0, 1, 0, 1, 1e-30), row(1, 0, 0, 1, 1)
    for loss in criteria.CRITERIA.values():
        assert torch.isfinite(torch.autograd.grad(loss(edges, opposite), edges)[0]).all()
    huge = row(-1e6, 1e6, 0)
    for loss in (criteria.mse, criteria.mae, criteria.smooth_l1):
        assert torch.isfinite(torch.autograd.grad(loss(huge, row(1e6, -1e6, 0)), huge)[0]).all()
    for loss in (criteria.discriminator_loss(huge, huge), criteria.generator_loss(huge, row(0), row(0))):
        assert torch.isfinite(loss) and torch.isfinite(torch.autograd.grad(loss, huge)[0]).all()
    logits = torch.zeros(1, 313, 1, 2)
    logits[0, 0], logits[0, 1] = 1e6, -1e6
    logits.requires_grad_()
    for loss in (criteria.kl, criteria.cross_entropy):
        value = loss(logits, ab((80, 60), (1e4, -1e4)))
        assert torch.isfinite(value) and torch.isfinite(torch.autograd.grad(value, logits)[0]).all()
    zero = torch.zeros(3, requires_grad=True)
    for penalty in criteria.PENALTIES.values():
        assert torch.equal(torch.autograd.grad(penalty([zero]), zero)[0], torch.zeros(3))


def test_a_generator_still_learns_where_the_discriminator_is_sure():
    fake = row(-40)
    assert torch.autograd.grad(criteria.generator_loss(fake, row(0), row(0)), fake)[0].item() == pytest.approx(-1)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_halves_are_lifted_before_any_logarithm(half):
    x, y = torch.tensor([0.0, 1, 0.5], dtype=half).view(1, 3, 1, 1), torch.tensor([1.0, 0, 0.25]).view(1, 3, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        for loss in criteria.CRITERIA.values():
            assert loss(x, y.to(half)).dtype == torch.float32
            assert loss(x, y).item() == pytest.approx(loss(x.float(), y).item(), rel=1e-6)
        logits = torch.linspace(-8, 8, 313).view(1, 313, 1, 1).to(half)
        exact = criteria.cross_entropy(logits.float(), ab((3, 4)))
        assert criteria.cross_entropy(logits, ab((3, 4))).item() == pytest.approx(exact.item(), rel=1e-6)
        assert criteria.discriminator_loss(x, x).dtype == criteria.generator_loss(x, x, x).dtype == torch.float32


def test_names_are_known_or_refused():
    for name, loss in criteria.CRITERIA.items():
        assert criteria.criterion(name) is loss
        with pytest.raises(UsageError, match=f"{name}.*no classes.*cross_entropy and kl"):
            criteria.criterion(name, torch.ones(313))
    with pytest.raises(UsageError, match="'rmse'; known: mse, mae, smooth_l1, bce, cross_entropy, kl"):
        criteria.criterion("rmse")


def test_shapes_that_would_be_broadcast_are_refused():
    for loss in criteria.CRITERIA.values():
        with pytest.raises(ValueError, match=r"\(2, 3, 4, 4\).*\(2, 1, 4, 4\)"):
            loss(torch.rand(2, 3, 4, 4), torch.rand(2, 1, 4, 4))
    for shape in ((1, 312, 2, 2), (1, 313, 4, 4)):
        with pytest.raises(ValueError, match="don't fit"):
            criteria.kl(torch.zeros(shape), torch.zeros(1, 2, 2, 2))
