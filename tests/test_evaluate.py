"""Evaluation changes nothing, and agrees with a plain computation."""

from dataclasses import replace
from fractions import Fraction

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


# Views


def test_the_papers_protocol_has_144_views_and_the_popular_one_120():
    popular = replace(evaluate.IMAGENET[144], places=(*evaluate.CORNERS, "center"))
    for height, width in ((400, 600), (600, 400), (500, 375), (256, 256)):
        for count, protocol in (*evaluate.IMAGENET.items(), (120, popular)):
            assert len(protocol) == len(protocol.views(height, width)) == count


@pytest.mark.parametrize(("height", "width"), [(400, 600), (600, 400), (333, 501), (224, 224)])
@pytest.mark.parametrize("protocol", [*evaluate.IMAGENET.values(), evaluate.IMAGENET[144].at(28)])
def test_every_box_lies_in_its_square_and_every_square_in_the_image(protocol, height, width):
    for view in protocol.views(height, width):
        rows, columns = evaluate.resized(height, width, view.scale)
        assert min(rows, columns) == view.scale
        left, top, right, bottom = view.square
        assert 0 <= left < right <= columns
        assert 0 <= top < bottom <= rows
        assert right - left == bottom - top == view.scale
        side = view.scale if view.place == "whole" else protocol.size
        assert view.box.right - view.box.left == view.box.bottom - view.box.top == side
        assert left <= view.box.left
        assert view.box.right <= right
        assert top <= view.box.top
        assert view.box.bottom <= bottom


def test_squares_go_along_the_longer_side():
    wide = list(dict.fromkeys(view.square for view in evaluate.IMAGENET[144].views(400, 600)))
    tall = list(dict.fromkeys(view.square for view in evaluate.IMAGENET[144].views(600, 400)))
    assert wide[:3] == [(0, 0, 256, 256), (64, 0, 320, 256), (128, 0, 384, 256)]
    assert tall[:3] == [(0, 0, 256, 256), (0, 64, 256, 320), (0, 128, 256, 384)]
    assert len(wide) == len(tall) == 12


def test_corners_and_center_are_where_their_names_say():
    boxes = {view.place: view.box for view in evaluate.IMAGENET[10].views(256, 256)}
    assert boxes == {
        "top left": (0, 0, 224, 224),
        "top right": (32, 0, 256, 224),
        "bottom left": (0, 32, 224, 256),
        "bottom right": (32, 32, 256, 256),
        "center": (16, 16, 240, 240),
    }


def test_the_papers_views_show_126_regions_of_the_picture():
    # The whole square is the same part of the picture at each of the four scales.
    regions = {
        (*(Fraction(edge, view.scale) for edge in view.box), view.mirrored)
        for view in evaluate.IMAGENET[144].views(400, 600)
    }
    assert len(regions) == 144 - 3 * 3 * 2


def test_a_square_image_has_48_views_unless_it_gets_a_margin():
    without = replace(evaluate.FASHION[144], margin=(0, 0)).views(28, 28)
    assert len(set(without)) == 48
    for protocol in (evaluate.FASHION[144], evaluate.ENLARGED[144]):
        views = protocol.views(28, 28)
        assert len({(view.scale, view.square, view.box, view.mirrored) for view in views}) == 144


def test_a_protocol_scales_with_what_a_network_sees():
    assert evaluate.IMAGENET[144].at(28).scales == (32, 36, 40, 44)
    assert evaluate.IMAGENET[144].at(224) == evaluate.IMAGENET[144]
    assert len(evaluate.FASHION[144].at(40)) == 144


def test_an_impossible_protocol_is_refused():
    with pytest.raises(ValueError, match="smaller size"):
        evaluate.Protocol(224, (200, 256))
    with pytest.raises(ValueError, match="places are"):
        evaluate.Protocol(28, (32,), places=("middle",))


def test_a_crop_is_the_part_of_the_image_that_its_box_says():
    image = torch.arange(3 * 256 * 300.0).view(1, 3, 256, 300)
    scale_256 = replace(evaluate.IMAGENET[144], scales=(256,))
    for view, crop in evaluate.crops(image, scale_256):
        left, top, right, bottom = view.box
        part = image[:, :, top:bottom, left:right]
        if view.place == "whole":
            part = nn.functional.interpolate(part, (224, 224), mode="bilinear", antialias=True)
        torch.testing.assert_close(crop.flip(3) if view.mirrored else crop, part)
        assert crop.shape == (1, 3, 224, 224)


def test_mirrored_crops_are_exact_mirror_images(val_set):
    images = val_set.tensors[0][:3]
    seen = list(evaluate.crops(images, evaluate.FASHION[144]))
    assert len(seen) == 144
    for (plain, crop), (mirrored, flipped) in zip(seen[::2], seen[1::2], strict=True):
        assert (plain.mirrored, mirrored.mirrored) == (False, True)
        assert torch.equal(crop.flip(3), flipped)
    pictures = [crop for view, crop in seen if not view.mirrored and view.place != "whole"]
    assert len({picture.numpy().tobytes() for picture in pictures}) == 60


def test_the_margin_is_black():
    white = torch.full((1, 1, 28, 28), 255, dtype=torch.uint8)
    corner = next(crop for _, crop in evaluate.crops(white, evaluate.FASHION[10]))
    assert (corner[0, 0, :2] == 0).all()
    assert (corner[0, 0, 2:, 2:] == 255).all()
    (_view, crop), *_ = evaluate.crops(white, evaluate.FASHION[10], black=-1.0)
    assert (crop[0, 0, :, :2] == -1).all()


# Averages


def test_one_view_is_what_predict_says(model, val_set):
    expected = evaluate.predict(model, val_set).softmax(dim=1)
    torch.testing.assert_close(evaluate.multi_crop(model, val_set, evaluate.FASHION[1]), expected)


def test_views_are_averaged_as_probabilities(model, val_set):
    both = evaluate.Protocol(28, (28,), squares=(0.5,), places=("center",))
    images, labels = val_set.tensors
    plain, mirrored = (
        evaluate.predict(model, TensorDataset(each, labels)).softmax(dim=1)
        for each in (images, images.flip(3))
    )
    answers = evaluate.multi_crop(model, val_set, both)
    torch.testing.assert_close(answers, (plain + mirrored) / 2)
    torch.testing.assert_close(answers.sum(dim=1), torch.ones(300))


def test_mirroring_the_images_changes_nothing(model, val_set):
    images, labels = val_set.tensors
    answers = [
        evaluate.multi_crop(model, TensorDataset(each, labels), evaluate.FASHION[10])
        for each in (images, images.flip(3))
    ]
    torch.testing.assert_close(*answers)


def test_views_leave_the_model_as_it_was_and_ignore_batches(model, val_set, monkeypatch):
    model.train()
    together = evaluate.multi_crop(model, val_set, evaluate.FASHION[10])
    monkeypatch.setattr(evaluate, "BATCH_SIZE", 7)
    passes = []
    again = evaluate.multi_crop(
        model, val_set, evaluate.FASHION[10], progress=lambda b: passes.append(len(b)) or b
    )
    torch.testing.assert_close(again, together)
    assert passes == [43]
    assert model.training


class Mean(nn.Module):
    """Says how bright an image is, and remembers how large."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.sizes = set()

    def forward(self, images):
        self.sizes.add(tuple(images.shape[2:]))
        bright = images.mean(dim=(1, 2, 3))
        return torch.stack([bright, -bright], dim=1)


def test_views_have_the_size_asked_for_and_a_normalized_black_margin():
    black = TensorDataset(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2).long())
    model = Mean()
    answers = evaluate.multi_crop(model, black, evaluate.FASHION[144], size=40)
    assert model.sizes == {(40, 40)}
    torch.testing.assert_close(answers, evaluate.predict(model, black).softmax(dim=1))


def test_an_ensemble_is_the_mean_of_its_networks(model, val_set):
    torch.manual_seed(1)
    other = nn.Sequential(nn.Flatten(), nn.Linear(28**2, 10))
    one, two = (evaluate.ensemble([m], val_set) for m in (model, other))
    torch.testing.assert_close(evaluate.ensemble([model, other], val_set), (one + two) / 2)
    torch.testing.assert_close(evaluate.ensemble([model] * 3, val_set), one)
    with pytest.raises(ValueError, match="at least one"):
        evaluate.ensemble([], val_set)
    assert evaluate.top_1(one, val_set.tensors[1]) == evaluate.accuracy(model, val_set)


# Calibration


def test_calibration_worked_out_by_hand():
    sure = torch.tensor([[0.75, 0.25], [0.875, 0.125], [0.125, 0.875], [0.5, 0.5], [0.625, 0.375]])
    judged = evaluate.calibration(sure, torch.tensor([0, 1, 1, 0, 0]), bins=4)
    # 0.5 belongs to the second bin and 0.75 to the third; 0.875, twice, to the last.
    assert judged.counts == (0, 1, 2, 2)
    assert judged.confidence == (None, 0.5, 0.6875, 0.875)
    assert judged.accuracy == (None, 1, 1, 0.5)
    assert judged.error == pytest.approx((0.5 + 2 * 0.3125 + 2 * 0.375) / 5)
    assert judged.overconfidence == pytest.approx((-0.5 - 2 * 0.3125 + 2 * 0.375) / 5)


def drawn(count, seed=0, sharpness=2.0):
    """Probabilities, and labels drawn from them: a predictor that is right to be so sure."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = (sharpness * torch.randn(count, 10, generator=generator)).softmax(dim=1)
    return probabilities, torch.multinomial(probabilities, 1, generator=generator)[:, 0]


def test_a_calibrated_predictor_has_almost_no_error():
    for seed in (0, 1, 2):
        probabilities, labels = drawn(20_000, seed)
        judged = evaluate.calibration(probabilities, labels)
        assert sum(judged.counts) == 20_000
        assert judged.error < 0.015
        sharper = (probabilities**2 / (probabilities**2).sum(dim=1, keepdim=True)).contiguous()
        assert evaluate.calibration(sharper, labels).overconfidence > 0.1


def test_calibration_keeps_its_bounds_and_ignores_the_order():
    probabilities, labels = drawn(500)
    for bins in (1, 2, 15, 40):
        judged = evaluate.calibration(probabilities, labels, bins)
        assert abs(judged.overconfidence) <= judged.error + 1e-9 <= 1
        order = torch.randperm(500, generator=torch.Generator().manual_seed(3))
        mixed = evaluate.calibration(probabilities[order], labels[order], bins)
        assert mixed.counts == judged.counts
        assert mixed.error == pytest.approx(judged.error)
    one = evaluate.calibration(probabilities, labels, 1)
    assert one.error == pytest.approx(abs(one.overconfidence))


def test_certainty_is_judged_by_accuracy_alone():
    certain = torch.eye(4, dtype=torch.double)
    assert evaluate.calibration(certain, torch.arange(4)).error == 0
    assert evaluate.calibration(certain, torch.tensor([0, 1, 3, 2])).error == 0.5


def test_an_average_is_never_surer_than_its_parts():
    first, _labels = drawn(300, seed=1)
    second, _ = drawn(300, seed=2)
    sure = [each.amax(dim=1).mean() for each in (first, second, (first + second) / 2)]
    assert sure[2] <= (sure[0] + sure[1]) / 2


def test_calibration_refuses_logits():
    with pytest.raises(ValueError, match="softmax"):
        evaluate.calibration(torch.randn(5, 10), torch.zeros(5).long())
    with pytest.raises(ValueError, match="from 0 to 1"):
        evaluate.calibration(torch.tensor([[1.5, -0.5]]), torch.tensor([0]))
    with pytest.raises(ValueError, match="bins"):
        evaluate.calibration(torch.eye(3), torch.arange(3), bins=0)


def test_temperature_finds_how_much_too_sure_a_network_is():
    probabilities, labels = drawn(20_000)
    for factor in (0.5, 1.0, 3.0):
        logits = factor * probabilities.log()
        found = evaluate.temperature(logits, labels)
        assert found == pytest.approx(factor, rel=0.03)
        cooled = evaluate.calibration((logits / found).softmax(dim=1), labels)
        assert abs(cooled.overconfidence) < 0.01
        losses = [nn.functional.cross_entropy(logits / t, labels) for t in (found, 0.95 * found)]
        assert losses[0] < losses[1]


def test_temperature_stays_within_its_bounds():
    right, wrong = torch.arange(4), torch.tensor([1, 0, 3, 2])
    assert evaluate.temperature(torch.eye(4), right) == pytest.approx(0.05, rel=0.01)
    assert evaluate.temperature(torch.eye(4), wrong) == pytest.approx(20, rel=0.01)


def test_a_calibrated_network_is_judged_to_err_by_chance_and_less_with_more_images():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 10, generator=generator)
    probabilities = logits.softmax(dim=1)
    few, many = (
        evaluate.calibration_error_by_chance(p, generator, draws=40)
        for p in (probabilities[:400], probabilities)
    )
    assert few.shape == (40,)
    assert few.mean() > 2 * many.mean() > 0
    # Labels drawn from the probabilities are in the range; those of a surer network are not.
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    assert evaluate.calibration(probabilities, labels).error <= many.max() * 1.2
    surer = (2 * logits).softmax(dim=1)
    chance = evaluate.calibration_error_by_chance(surer, generator, draws=40)
    assert evaluate.calibration(surer, labels).error > 3 * chance.max()
