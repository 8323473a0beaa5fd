"""Evaluation changes nothing, and agrees with a plain computation."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from inception_course import data, evaluate


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 24**2, 10)
    )


@pytest.fixture(scope="module")
def val_set():
    return data.fashion_mnist("val", sample=300)


def test_mode_and_statistics_are_left_as_they_were(model, val_set):
    model.train()
    model[1].eval()  # one module frozen by its owner
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate.accuracy(model, val_set)
    assert [module.training for module in model] == [True, False, True, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_mode_comes_back_after_an_error(model, val_set):
    model.train()
    model[4] = nn.Linear(3, 10)
    with pytest.raises(RuntimeError):
        evaluate.accuracy(model, val_set)
    assert model.training
    assert torch.is_grad_enabled()


def test_answers_do_not_depend_on_the_batches(model, val_set, monkeypatch):
    together = evaluate.predict(model, val_set)
    monkeypatch.setattr(evaluate, "BATCH_SIZE", 7)
    torch.testing.assert_close(evaluate.predict(model, val_set), together)


def test_accuracy_and_confusion_count_the_same(model, val_set):
    cells = evaluate.confusion(model, val_set)
    assert cells.shape == (10, 10)
    assert torch.equal(cells.sum(dim=1), torch.bincount(val_set.tensors[1]))
    assert evaluate.accuracy(model, val_set) == pytest.approx((cells.trace() / 300).item())


def test_a_row_of_the_confusion_is_the_true_class():
    class AlwaysThree(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return nn.functional.one_hot(torch.full((len(images),), 3), 10).float()

    images = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    cells = evaluate.confusion(AlwaysThree(), TensorDataset(images, torch.tensor([0, 0, 3, 9])))
    assert cells[:, 3].tolist() == [2, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert cells.sum() == 4


def test_images_are_resized_when_asked(val_set):
    sizes = []

    class Sees(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            sizes.append(tuple(images.shape[2:]))
            return torch.zeros(len(images), 10)

    evaluate.predict(Sees(), val_set, size=40)
    evaluate.predict(Sees(), val_set)
    assert set(sizes) == {(40, 40), (28, 28)}


class BrightSide(nn.Module):
    """Says 1 if the right half of an image is brighter than the left, otherwise 0."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        half = images.shape[3] // 2
        sides = images[..., :half], images[..., half:]
        return torch.stack([side.sum(dim=(1, 2, 3)) for side in sides], dim=1)


def dots(*places):
    images = torch.zeros(len(places), 1, 6, 6, dtype=torch.uint8)
    for image, (row, column) in zip(images, places, strict=True):
        image[0, row, column] = 255
    return TensorDataset(images, torch.zeros(len(places), dtype=torch.long))


def test_shift_tolerance_is_the_share_of_answers_that_stay():
    # A dot two columns left of the middle crosses it only when it moves right by three.
    assert evaluate.shift_tolerance(BrightSide(), dots((3, 0), (3, 1)), 0) == 1
    assert evaluate.shift_tolerance(BrightSide(), dots((3, 0), (3, 2)), 1) == 1 - 1 / 8
    # Right by three: both cross. Up, down and left keep the side, or leave black, which is 0.
    assert evaluate.shift_tolerance(BrightSide(), dots((3, 1), (3, 2)), 3) == 1 - 2 / 8


def test_all_four_directions_count():
    one = [evaluate.shift_tolerance(BrightSide(), dots((0, 3)), pixels) for pixels in (1, 2)]
    assert one == [1 - 2 / 4] * 2  # left it crosses, up it leaves the view; right and down it stays


def test_shifts_count_before_images_are_resized():
    assert evaluate.shift_tolerance(BrightSide(), dots((3, 2)), 1, size=60) == 1 - 1 / 4


def test_a_shift_out_of_view_is_refused():
    for pixels in (6, -1):
        with pytest.raises(ValueError, match="0 to 5"):
            evaluate.shift_tolerance(BrightSide(), dots((3, 2)), pixels)
