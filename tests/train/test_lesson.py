"""A teacher's lessons: pictures that are alike cost nothing, a student who tells all costs nothing."""

import pytest
import torch
from torch import nn

from tintype.errors import UsageError
from tintype.train.lesson import Lesson, apart, load_teacher, load_tutor, wholly_apart


class Two(nn.Module):
    """A teacher with maps at 1/16 and 1/32."""

    def forward(self, rgb):
        small = nn.functional.avg_pool2d(rgb, 16)
        return small, nn.functional.avg_pool2d(small, 2).repeat(1, 2, 1, 1) + 3


@pytest.fixture
def lesson():
    return Lesson(Two(), 6)


def test_pictures_that_are_alike_cost_nothing_from_the_first_batch_on(lesson):
    for _ in range(3):
        rgb = torch.rand(16, 3, 64, 64)
        seen = lesson.seen(rgb)
        assert [m.shape[1:] for m in seen] == [(3, 4, 4), (6, 2, 2)]
        assert apart(lesson.look(rgb), seen) == 0
        assert apart(lesson.look(torch.rand(16, 3, 64, 64)), seen) > 0.1
    assert all(abs(float(m.mean())) < 0.2 and 0.8 < float(m.std()) < 1.2 for m in seen)


def test_colours_learn_from_what_is_seen_in_them(lesson):
    seen = lesson.seen(torch.rand(4, 3, 64, 64))
    rgb = torch.rand(4, 3, 64, 64, requires_grad=True)
    apart(lesson.look(rgb), seen).backward()
    assert rgb.grad.abs().sum() > 0


def test_averages_over_whole_pictures_are_apart_by_what_is_shown_and_not_by_where():
    maps = torch.randn(64, 6, 4, 4) + torch.randn(64, 6, 1, 1)
    assert wholly_apart(maps, maps) == 0
    assert wholly_apart(maps.flip(3), maps) < 1e-9, "the same things elsewhere"
    others = wholly_apart(maps.roll(1, 0), maps)
    assert 1.5 < others < 2.5, "other pictures, as unlike as any two: twice the variance; together the same crowd"
    assert wholly_apart(maps.roll(1, 0) + 2, maps) > others + 2, "another crowd"
    assert wholly_apart(maps.mean(0, keepdim=True).expand_as(maps), maps) > 1.5, "all alike"


def test_a_student_who_tells_all_costs_nothing(lesson):
    seen = lesson.seen(torch.rand(4, 3, 64, 64))
    nn.init.eye_(lesson.answer.weight[:, :, 0, 0].data)
    nn.init.zeros_(lesson.answer.bias)
    assert lesson(seen[-1], seen) == 0
    assert lesson(torch.zeros_like(seen[-1]), seen) > 0.5


def test_a_teacher_is_asked_for_where_it_counts(tmp_path):
    assert load_teacher(0.0, None) is None
    with pytest.raises(UsageError, match="name its file"):
        load_teacher(0.1, None)
    torch.jit.save(torch.jit.trace(Two(), torch.rand(1, 3, 64, 64)), tmp_path / "two.ts")
    assert len(load_teacher(0.1, tmp_path / "two.ts")(torch.rand(1, 3, 64, 64))) == 2
    assert load_tutor(0.0, None) is None
    with pytest.raises(UsageError, match="--tutor"):
        load_tutor(0.1, None)
    (tmp_path / "none.ts").write_text("nothing")
    with pytest.raises(UsageError, match="holds no TorchScript network"):
        load_teacher(0.1, tmp_path / "none.ts")
