"""Studies of tricks: one change at a time, and records that are those of the code."""

from dataclasses import asdict, replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from inception_course import data, probe, records, studies
from inception_course.batch_norm import fully_connected
from inception_course.data import Batches
from inception_course.studies import comparison, experiment, same_start, saturation
from inception_course.studies.comparison import BATCHES, CONTROL, LADDER


def built(contender):
    torch.manual_seed(0)
    return contender.build()


def kinds(model):
    return [
        sum(isinstance(m, kind) for m in model.modules()) for kind in (nn.Conv2d, nn.BatchNorm2d)
    ]


@pytest.fixture
def few_images(monkeypatch):
    """Comparisons learn from 64 images and are validated on 50."""
    splits = [data.fashion_mnist(split, sample=n) for split, n in (("train", 64), ("val", 50))]
    monkeypatch.setattr(comparison.Comparison, "images", lambda self: tuple(splits))


def test_each_rung_changes_what_its_name_says():
    rungs = [each for each in LADDER.contenders if each.name != CONTROL]
    changed = []
    for before, after in pairwise(rungs):
        old, new = asdict(before.recipe), asdict(after.recipe)
        recipe = {name for name in old if old[name] != new[name]}
        pair = built(before), built(after)
        weights = [model.stem.conv1.convolution.weight for model in pair]
        network = repr(pair[0]) != repr(pair[1])
        same = weights[0].shape == weights[1].shape and torch.equal(*weights)
        changed.append((recipe, network, same))
    assert changed == [
        (set(), False, False),  # He
        (set(), True, False),  # batch normalization: no biases, so other draws
        ({"momentum", "schedule"}, False, True),
        ({"flip", "translate"}, False, True),
        ({"ema_decay"}, False, True),
        (set(), True, False),  # width
    ]
    assert {each.recipe.epochs for each in rungs} == {2}
    control, normalized = (built(LADDER.contenders[at]) for at in (-1, 2))
    assert repr(control) == repr(normalized)
    weight = control.stem.conv2.convolution.weight  # uniform after Xavier, Gaussian after He
    limit = (6 / (9 * (weight.shape[0] + weight.shape[1]))) ** 0.5
    assert weight.abs().max() <= limit < normalized.stem.conv2.convolution.weight.abs().max()


def test_batches_see_the_same_images_at_a_rate_as_said():
    recipes = {each.name: each.recipe for each in BATCHES.contenders}
    assert {recipe.epochs for recipe in recipes.values()} == {4}
    scaled = [recipes[f"BN, scaled rate, {size}"] for size in comparison.BATCH_SIZES]
    assert [recipe.batch_size for recipe in scaled] == list(comparison.BATCH_SIZES)
    ratios = {recipe.learning_rate / recipe.batch_size for recipe in scaled}
    assert max(ratios) == pytest.approx(min(ratios))
    fixed = {recipes[f"BN, one rate, {size}"].learning_rate for size in comparison.BATCH_SIZES}
    assert fixed == {recipes["BN, scaled rate, 32"].learning_rate}
    control = next(each for each in BATCHES.contenders if each.name == "group norm, scaled rate, 8")
    norms = [m for m in built(control).modules() if isinstance(m, nn.GroupNorm)]
    assert norms
    assert all(norm.num_channels == 4 * norm.num_groups for norm in norms)
    assert kinds(built(control))[1] == 0


def test_a_comparison_is_trained_by_fit_and_leaves_the_random_state(few_images):
    before = torch.random.get_rng_state()
    first, again = (BATCHES.measure(("BN, scaled rate, 32", 1)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert replace(first, cpu_seconds=0) == replace(again, cpu_seconds=0)
    assert len(first.accuracies) == 4
    assert first.accuracy == first.accuracies[-1]
    assert first.cpu_seconds > 0
    record = comparison.Contest(BATCHES.settings(), {}, (first,))
    assert records.from_json(comparison.Contest, records.to_json(record)) == record


def test_a_comparison_that_diverges_counts_as_a_guess(few_images):
    contender = BATCHES.contenders[3]
    recipe = replace(contender.recipe, learning_rate=1e30)
    wild = replace(BATCHES, contenders=(contender._replace(recipe=recipe),))
    trained = wild.measure((contender.name, 0))
    assert trained.diverged
    assert trained.accuracy == 0.1
    assert "diverged" in wild.sentence(trained)


def test_another_recipe_is_another_study(tmp_path):
    path = tmp_path / "record.json"
    studies.run(LADDER, path, seconds=0)
    records.save(comparison.Contest(LADDER.settings(), {}, ()), path)
    first = LADDER.contenders[0]
    recipe = replace(first.recipe, learning_rate=0.2)
    changed = replace(LADDER, contenders=(first._replace(recipe=recipe), *LADDER.contenders[1:]))
    with pytest.raises(ValueError, match="recipes was"):
        studies.run(changed, path)


def test_another_network_is_another_study(tmp_path):
    name = LADDER.contenders[0].name
    smaller = comparison.Trained(name, 0, 1000, (0.5, 0.6), (0.5, 0.6), False, 1.0)
    records.save(comparison.Contest(LADDER.settings(), {}, (smaller,)), tmp_path / "record.json")
    with pytest.raises(ValueError, match=f"parameters of {name} was 1000, now "):
        studies.run(LADDER, tmp_path / "record.json", seconds=0)


def test_contenders_can_be_added_to_a_record(tmp_path):
    path = tmp_path / "record.json"
    fewer = replace(LADDER, contenders=LADDER.contenders[1:])
    records.save(comparison.Contest(fewer.settings(), {}, ()), path)
    added = studies.run(LADDER, path, seconds=0)
    assert added.settings == LADDER.settings()
    records.save(added, path)
    with pytest.raises(ValueError, match="recipes was"):
        studies.run(fewer, path)


def test_a_record_from_before_a_setting_goes_on(tmp_path):
    path = tmp_path / "record.json"
    record = comparison.Contest(LADDER.settings(), {}, ())
    for recipe in record.settings["recipes"].values():
        del recipe["first_size"]
    records.save(record, path)
    assert studies.run(LADDER, path, seconds=0).settings == LADDER.settings()
    records.save(record, path)
    first = LADDER.contenders[0]
    smaller = first._replace(recipe=replace(first.recipe, first_size=14))
    with pytest.raises(ValueError, match="recipes was"):
        studies.run(replace(LADDER, contenders=(smaller, *LADDER.contenders[1:])), path)


def test_what_takes_the_same_time_sees_as_many_pixels():
    recipes = {each.name: each.recipe for each in comparison.FRONTIER.contenders}
    grown, thirds = recipes["one at 16 pixels, one at 28"], recipes["two over 2/3 of the images"]
    pixels = sum(55_000 * grown.size_in(epoch) ** 2 for epoch in (1, 2))
    assert 2 * thirds.train_images * thirds.image_size**2 == pytest.approx(pixels, rel=0.01)


def test_heads_are_the_only_difference():
    variants = {each.name: each for each in experiment.EXPERIMENTS["heads"].variants}
    for kind in ("no BN, He", "no BN, Xavier", "BN, He", "BN, Xavier"):
        pair = [variants[f"{kind}, {heads}"] for heads in ("no heads", "heads")]
        bare, headed = (built(each) for each in pair)
        assert pair[0].learning_rate == pair[1].learning_rate
        assert list(headed.auxiliary) == ["4a", "4d"]
        assert not bare.auxiliary
        shared = headed.state_dict()
        for name, value in bare.state_dict().items():
            assert torch.equal(value, shared[name]), name
    he, xavier = (built(variants[f"no BN, {start}, heads"]) for start in ("He", "Xavier"))
    assert he.stem.conv2.convolution.weight.std() > xavier.stem.conv2.convolution.weight.std()


def test_layers_to_look_at_are_given_by_kind_or_name():
    chosen = replace(
        experiment.EXPERIMENTS["depth"], steps=1, every=1, sample=60, val_images=10,
        look_at=("flatten", nn.Sigmoid), statistics=(("spread", probe.rms("output")),),
    )  # fmt: skip
    variant = experiment.Variant("made", 0.1, partial(fully_connected, 2, width=4))
    _, training = experiment.train_variant(chosen, variant, 0)
    assert [row["layer"] for row in training.layers[:3]] == ["flatten", "unit1", "unit2"]


def test_the_mean_of_the_last_evaluations_is_no_best():
    rows = tuple({"step": n, "accuracy": a} for n, a in enumerate((0.1, 0.9, 0.6, 0.8)))
    training = experiment.Training("made", 0, 0.1, 1, "", None, 0.0, rows, ())
    assert training.late(2) == pytest.approx(0.7)
    assert training.best == 0.9


def test_a_gain_multiplies_every_initial_weight():
    nets = []
    for gain in (1.0, 4.0):
        torch.manual_seed(3)
        nets.append(fully_connected(2, width=5, gain=gain))
    for one, four in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.allclose(4 * one, four)


def test_small_weights_fade_large_ones_saturate_and_batch_norm_does_not_care():
    plain = [saturation.signal(gain, depth=10) for gain in (1, 16)]
    normalized = [saturation.signal(gain, depth=10, norm=nn.BatchNorm1d) for gain in (1, 16)]
    assert plain[0].ratio < 1e-4 < 0.1 < plain[1].ratio
    assert max(plain[0].saturated) < 0.1
    assert min(plain[1].saturated) > 0.5
    for each in normalized:
        assert 0.5 < each.ratio < 3
        assert max(each.saturated) < 0.02


def test_the_study_records_what_one_pass_shows():
    """The first moment of a record is the signal of the net before training, on its first batch."""
    unit = (4.0, 3, False, 0.5, 0)
    training = saturation.Dilemma().measure(unit)
    assert training.unit == unit
    assert training.steps == (0, 250, 500, 750, 1000)
    assert [len(row) for row in training.saturated] == [3] * 5
    torch.manual_seed(0)
    model = fully_connected(3, gain=4.0)
    batch = next(iter(Batches(data.fashion_mnist("train", sample=5000), 60, shuffle=True)))
    seen = saturation.pass_through(model, *batch)
    assert training.saturated[0] == pytest.approx(seen.saturated, rel=1e-3)
    assert training.gradient == pytest.approx(seen.gradient, rel=1e-2)
    assert training.ratio == pytest.approx(seen.ratio, rel=1e-2)


def test_two_networks_disagree_where_they_call_differently():
    answers = torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]]])
    assert same_start.disagreement(answers) == 0.5
    assert same_start.disagreement(answers[[0, 0, 1]]) == pytest.approx(1 / 3)


def test_members_with_the_same_start_differ_in_the_order_of_their_images(monkeypatch):
    seen = []
    monkeypatch.setattr(same_start, "member", lambda *seeds: seen.append(seeds))
    monkeypatch.setattr(same_start, "predict", lambda model, images: torch.rand(5000, 10))
    study = same_start.SameStart()
    groups = [study.measure((start, 1)) for start in same_start.STARTS]
    assert seen[:5] == [(5, 5), (5, 6), (5, 7), (5, 8), (5, 9)]
    assert seen[5:] == [(number, number) for number in range(5, 10)]
    assert [group.unit for group in groups] == [("same", 1), ("different", 1)]
    assert all(0 < group.disagreement < 1 for group in groups)


def test_a_difference_is_seen_beyond_twice_its_standard_error():
    found = studies.difference([0.84, 0.86, 0.85], [0.80, 0.80, 0.83])
    assert found.points == pytest.approx(4)
    assert found.margin == pytest.approx(2 * 2 / 3**0.5)  # of 4, 6 and 2 points
    assert found.seen
    assert str(found) == "+4.0 points, ± 2.3: seen"
    unsure = studies.difference([0.5, 0.6], [0.6, 0.5])
    assert (unsure.points, unsure.seen) == (pytest.approx(0), False)
    assert str(unsure).endswith("not seen")


@pytest.mark.parametrize("ones", [[], [0.5], [0.5, 0.6]])
def test_a_difference_needs_the_same_seeds(ones):
    with pytest.raises(ValueError, match="two at least"):
        studies.difference(ones, [0.5])
