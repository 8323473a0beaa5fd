"""Hebb's rules, the recovery of a planted wiring, correlations, and products with zeros."""

import hashlib
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from inception_course import data, evaluate, hebbian, train
from inception_course.data.fashion_mnist import SHA256
from inception_course.hebbian import products, wiring
from inception_course.train import checkpoint

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def rows():
    sample = data.fashion_mnist("train", sample=2000)
    return hebbian.remove_mean(hebbian.patches(sample, 10_000))


# Hebb, Oja


def test_patches_are_squares_of_the_images():
    sample = data.fashion_mnist("val", sample=3)
    images = (sample.tensors[0][:, 0].float() / 255).unfold(1, 5, 1).unfold(2, 5, 1)
    everywhere = {square.numpy().tobytes() for square in images.reshape(-1, 25)}
    for patch in hebbian.patches(sample, 50, size=5):
        assert patch.numpy().tobytes() in everywhere


def test_patches_depend_on_the_seed_alone():
    sample = data.fashion_mnist("val", sample=30)
    assert torch.equal(hebbian.patches(sample, 9), hebbian.patches(sample, 9))
    assert not torch.equal(hebbian.patches(sample, 9), hebbian.patches(sample, 9, seed=1))


@pytest.mark.parametrize("size", [0, 29])
def test_a_patch_must_fit(size):
    with pytest.raises(ValueError, match="does not fit into an image 28x28"):
        hebbian.patches(data.fashion_mnist("val", sample=1), 1, size=size)


def test_the_principal_components_are_numpys(rows):
    directions, variances = hebbian.principal_components(rows, 5)
    _, singular, right = np.linalg.svd(rows.numpy(), full_matrices=False)
    torch.testing.assert_close(
        variances, torch.from_numpy(singular[:5] ** 2 / len(rows)), rtol=1e-4, atol=0
    )
    assert (hebbian.alignment(directions, torch.from_numpy(right[:5])) > 0.999).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_oja_finds_the_first_principal_component(rows, seed):
    (first, *_), _ = hebbian.principal_components(rows, 1)
    weights = hebbian.learn(hebbian.oja, rows, rate=0.02, steps=1000, seed=seed)
    assert hebbian.alignment(weights[-1], first) > 0.99
    assert hebbian.alignment(weights[0], first) < 0.9
    assert weights[-1].norm().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_several_units_of_oja_find_the_same_component(rows, seed):
    directions, _ = hebbian.principal_components(rows, 1)
    weights = hebbian.learn(hebbian.oja, rows, rate=0.02, steps=1000, units=4, seed=seed)
    assert (hebbian.alignment(weights[-1], directions.expand(4, -1)) > 0.99).all()


def test_plain_hebb_grows_without_end(rows):
    lengths = hebbian.learn(hebbian.hebb, rows, rate=0.02, steps=200).norm(dim=2)[:, 0]
    assert lengths[-1] > 1e4
    assert (lengths[100:].diff() > 0).all()


def test_without_the_mean_removed_oja_finds_the_mean():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5000, 2, generator=generator) * torch.tensor([0.3, 1.0])
    shifted = rows + torch.tensor([3.0, 0.0])
    raw = hebbian.learn(hebbian.oja, shifted, rate=0.02, steps=1000)[-1, 0]
    assert raw[0].abs() > 0.99
    right = hebbian.learn(hebbian.oja, hebbian.remove_mean(shifted), rate=0.02, steps=1000)[-1, 0]
    assert right[1].abs() > 0.99


def test_rules_leave_their_weights_alone(rows):
    weights = torch.ones(2, 64)
    for rule in (hebbian.hebb, hebbian.oja):
        assert not torch.equal(rule(weights, rows[:10], 0.1), weights)
    assert torch.equal(weights, torch.ones(2, 64))


# The planted network


def test_pairs_are_counted_as_siblings_or_strangers():
    counted = hebbian.co_firing(n=50, degree=4, ones=1, samples=2000, seed=3)
    assert len(counted.siblings) + len(counted.strangers) == 50 * 49 // 2
    assert counted.strangers.max() == 0  # with one active unit, two that fire share it
    assert counted.siblings.mean() == pytest.approx(1, abs=0.2)
    crowded = hebbian.co_firing(n=50, degree=4, ones=10, samples=2000, seed=3)
    assert 0.2 < crowded.strangers.mean() < crowded.siblings.mean()


@pytest.mark.parametrize(("threshold", "least", "most"), [(1 / 3, 0, 0), (2 / 3, 380, 400)])
def test_a_crowded_layer_is_recovered_with_a_higher_threshold_only(threshold, least, most):
    recovery = hebbian.recover(ones=20, threshold=threshold)
    assert least <= recovery.exact <= most


@pytest.mark.parametrize("seed", range(5))
def test_a_sparse_layer_is_recovered(seed):
    recovery = hebbian.recover(seed=seed)
    assert recovery.exact >= 390
    assert recovery.precision > 0.99
    assert recovery.recall > 0.99
    assert recovery.bit_error < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_dense_layer_is_not(seed):
    recovery = hebbian.recover(ones=40, seed=seed)
    assert recovery.share < 0.1
    assert recovery.precision < 0.2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ones", [1, 4])
def test_nothing_is_recovered_from_shuffled_data(seed, ones):
    recovery = hebbian.recover(ones=ones, shuffled=True, seed=seed)
    assert recovery.exact == 0
    assert recovery.recall < 0.05
    assert np.isnan(recovery.bit_error)


def test_a_seed_decides_everything():
    first, again, other = (hebbian.recover(seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.found, again.found)
    assert str(first) == str(again)
    assert not np.array_equal(first.truth, other.truth)


def test_more_samples_find_more():
    shares = [
        np.mean([hebbian.recover(samples=count, ones=2, seed=s).share for s in SEEDS])
        for count in (250, 1000, 4000)
    ]
    assert shares[0] < shares[1] < shares[2]
    assert shares[0] < 0.5


@pytest.mark.slow
@given(seed=some.integers(0, 10**6), degree=some.sampled_from([8, 12, 16]))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_units_are_recovered_from_the_true_pairs(seed, degree):
    """Inside the theorem's regime: (d/2)^3 is small beside n."""
    wires = hebbian.random_wiring(1500, degree, np.random.default_rng(seed)) > 0
    siblings = wires.astype(float).T @ wires > 0
    np.fill_diagonal(siblings, False)
    found = hebbian.recover_units(siblings, degree // 2, seed=seed)
    truth, rows = ({unit.tobytes() for unit in units} for units in (wires, found))
    assert len(truth & rows) > 0.95 * len(truth)


@given(
    sizes=some.lists(some.integers(1, 6), min_size=1, max_size=8),
    seed=some.integers(0, 100),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_separate_families_are_found_exactly(sizes, seed):
    degree = 6
    families = np.repeat(np.arange(len(sizes)), degree)
    order = np.random.default_rng(seed).permutation(len(families))
    families = families[order]
    related = families[:, None] == families
    np.fill_diagonal(related, False)
    found = hebbian.recover_units(related, degree, seed=seed)
    assert sorted(map(bytes, found)) == sorted(
        bytes(families == family) for family in range(len(sizes))
    )


def test_strangers_have_no_parent():
    assert hebbian.recover_units(np.zeros((5, 5), dtype=bool), 3).shape == (0, 5)


@given(seed=some.integers(0, 10**6), degree=some.sampled_from([2, 6, 10]), n=some.integers(20, 60))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_wiring_has_the_promised_edges(seed, degree, n):
    wires = hebbian.random_wiring(n, degree, np.random.default_rng(seed))
    for axis in (0, 1):
        assert ((wires == 1).sum(axis) == degree // 2).all()
        assert ((wires == -1).sum(axis) == degree // 2).all()


@given(seed=some.integers(0, 10**6), ones=some.integers(1, 12))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_units_fire_by_the_sign_of_what_comes_in(seed, ones):
    rng = np.random.default_rng(seed)
    wires = hebbian.random_wiring(12, 4, rng)
    top, low = wiring.fire(wires, ones, 20, rng)
    assert (top.sum(axis=1) == ones).all()
    assert np.array_equal(low.toarray(), (top.toarray() @ wires > 0))


def test_every_top_unit_is_drawn_equally_often():
    top, _ = wiring.fire(np.eye(10, dtype=np.float32), 7, 20_000, np.random.default_rng(0))
    assert np.asarray(top.mean(axis=0)) == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"degree": 500}, r"d is even, at least 2, .* at most n/2 = 200"),
        ({"degree": 7}, "d is even"),
        ({"ones": 0}, "rho lies above 0 and is at most 1"),
        ({"ones": 401}, "rho lies above 0 and is at most 1"),
        ({"samples": 0}, "samples = 0 must be 1 or more"),
    ],
)
def test_a_network_that_cannot_exist_is_refused(setting, said):
    with pytest.raises(ValueError, match=said):
        hebbian.recover(**setting)


# The trained network that the course comes with


@pytest.fixture(scope="module")
def model():
    return checkpoint.load_pretrained("googlenet_bn-quick")


@pytest.fixture(scope="module")
def record():
    return json.loads((checkpoint.WEIGHTS / "googlenet_bn-quick.json").read_text("utf-8"))


def test_the_shipped_weights_are_small_and_named():
    for path in checkpoint.WEIGHTS.glob("*.pt"):
        assert path.stat().st_size < 2_000_000
        assert path.with_suffix(".json").exists()
    with pytest.raises(
        ValueError, match=r"comes with the weights of .*googlenet_bn-quick.*; not 'vgg'"
    ):
        checkpoint.load_pretrained("vgg")


@pytest.mark.slow
def test_the_shipped_weights_answer_the_sample_as_recorded(model, record):
    accuracy = evaluate.accuracy(model, data.fashion_mnist("val", sample=1000))
    assert accuracy == pytest.approx(record["accuracy"]["val"], abs=0.02)  # 1,000 of the 5,000


@pytest.mark.slow
@pytest.mark.needs("data")
def test_the_shipped_weights_reach_the_recorded_accuracy(model, record):
    accuracy = evaluate.accuracy(model, data.fashion_mnist("val"))
    assert accuracy == pytest.approx(record["accuracy"]["val"], abs=0.001)


def test_the_record_says_what_made_the_weights(record):
    run = train.Run.from_json(json.dumps(record["run"]))
    assert run.last.val_accuracy == pytest.approx(record["accuracy"]["val"])
    assert run.recipe == replace(train.RECIPES["quick"], epochs=3)
    assert record["data_sha256"] == SHA256
    assert record["images"] == data.SIZES
    assert record["accuracy"].keys() == data.SIZES.keys()
    assert "--recipe quick --epochs 3" in record["command"]
    readme = (checkpoint.WEIGHTS / "README.md").read_text("utf-8")
    assert record["command"] in readme


# Correlations


def test_maps_are_those_of_the_layers_and_no_hook_stays(model):
    sample = data.fashion_mnist("val", sample=20)
    maps = hebbian.feature_maps(model, sample, ("stem", "body.4e"))
    assert {name: list(values.shape) for name, values in maps.items()} == {
        "stem": [20, 48, 14, 14],
        "body.4e": [20, 208, 7, 7],
    }
    images, _ = next(iter(data.Batches(sample, 20)))
    with torch.no_grad():
        torch.testing.assert_close(maps["stem"], model.stem(images), rtol=1e-4, atol=1e-4)
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(AttributeError):
        hebbian.feature_maps(model, sample, ("stem", "body.9z"))
    assert not any(module._forward_hooks for module in model.modules())


@pytest.fixture(scope="module")
def local_maps():
    """Two channels: noise blurred over 3x3 positions, and its negative plus noise; one dead."""
    noise = torch.randn(2000, 1, 11, 11, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(noise, 3, stride=1)  # [2000, 1, 9, 9]
    return torch.cat((blurred, -blurred, torch.zeros_like(blurred)), dim=1)


def test_correlations_are_numpys(local_maps):
    found = hebbian.center_correlations(local_maps)
    want = np.corrcoef(local_maps[:, 0, 4, 4], local_maps[:, 1, 5, 3])[0, 1]
    assert found[0, 1, 5, 3].item() == pytest.approx(want, abs=1e-4)
    assert found[0, 0, 4, 4] == 0  # not with itself
    assert (found[2] == 0).all()  # a dead channel
    assert found[0, 1, 4, 4].item() == pytest.approx(-1, abs=1e-4)


def test_correlation_falls_with_distance_to_the_floor_of_chance(local_maps):
    alive = local_maps[:, :2]
    curve = hebbian.by_distance(hebbian.center_correlations(alive))
    floor = hebbian.by_distance(hebbian.center_correlations(alive, shuffled=True))
    # Windows of 3x3 share 6, 4, 3, 2 and 1 of their 9 places with a neighbour's.
    assert curve[0].item() == pytest.approx(1, abs=0.01)
    assert curve[1].item() == pytest.approx((4 * 6 / 9 + 4 * 4 / 9) / 8, abs=0.03)
    assert curve[2].item() == pytest.approx((4 * 3 / 9 + 8 * 2 / 9 + 4 * 1 / 9) / 16, abs=0.03)
    assert curve[3] < 0.03
    assert floor.max() < 0.06


def test_zeros_are_counted():
    values = torch.tensor([0.0, 0.0, 1e-4, -2.0])
    assert hebbian.zero_share(values) == 0.5


# Products


def test_a_random_matrix_has_the_density():
    assert hebbian.random_sparse(512, 0.1).count_nonzero() == pytest.approx(26_214, rel=0.05)


@pytest.mark.parametrize("arguments", [(8, 1.5), (8, -0.1)])
def test_a_density_is_a_part(arguments):
    with pytest.raises(ValueError, match="from 0 to 1"):
        hebbian.random_sparse(*arguments)


def test_blocks_must_tile():
    with pytest.raises(ValueError, match="take a divisor"):
        hebbian.scattered_blocks(10, 3)


def test_compressed_rows_are_the_same_matrix():
    matrix = hebbian.random_sparse(64, 0.2)
    assert torch.equal(hebbian.csr(matrix).to_dense(), matrix)


def test_only_the_warning_on_sparse_tensors_is_hidden():
    with products.sparse_tensors():
        warnings.warn("Sparse CSR tensor support is in beta state. More.", stacklevel=1)
        with pytest.warns(UserWarning, match="else"):
            warnings.warn("something else", stacklevel=1)
    with pytest.warns(UserWarning, match="beta"):
        warnings.warn("Sparse CSR tensor support is in beta state. More.", stacklevel=1)


def test_times_are_taken_on_one_thread_and_threads_put_back():
    before, seen = torch.get_num_threads(), []
    assert hebbian.seconds(lambda: seen.append(torch.get_num_threads()), repeats=3) >= 0
    assert seen == [1, 1, 1, 1]
    assert torch.get_num_threads() == before


def test_every_form_is_timed_at_every_density_with_the_same_inputs(monkeypatch):
    outputs = []

    def seconds(work, repeats):
        outputs.append(work())
        return float(len(outputs))

    monkeypatch.setattr(products, "seconds", seconds)
    times = hebbian.product_times(64, (0.1, 1.0), columns=5, seed=3)
    inputs = torch.randn(64, 5, generator=torch.Generator().manual_seed(3))
    few, many = (hebbian.random_sparse(64, density, seed=3) @ inputs for density in (0.1, 1.0))
    for output, expected in zip(outputs, (few, few, many, many), strict=True):
        torch.testing.assert_close(output, expected)
    assert (times.dense, times.csr) == ((1, 3), (2, 4))
    assert times.gain == [1 / 2, 3 / 4]


def test_the_break_even_density_is_where_the_gain_is_one():
    def times(*sparse):
        return hebbian.ProductTimes(8, 8, (0.01, 0.1, 1.0), (1.0,) * 3, sparse)

    assert times(0.1, 0.5, 10.0).break_even == pytest.approx(0.1704, abs=1e-3)
    assert times(2.0, 3.0, 4.0).break_even == 0.01
    assert times(0.1, 0.2, 0.3).break_even == 1.0


@given(
    seed=some.integers(0, 10**6),
    blocks=some.sampled_from([1, 2, 4, 8]),
    stray=some.sampled_from([0.0, 0.02]),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_scattered_blocks_are_found_again(seed, blocks, stray):
    matrix = hebbian.scattered_blocks(128, blocks, stray=stray, seed=seed)
    found, rest = hebbian.cut_blocks(matrix, *hebbian.find_blocks(matrix, blocks))
    assert [block.values.shape for block in found] == [(128 // blocks,) * 2] * blocks
    assert all(block.values.all() for block in found)
    assert (rest != 0).float().mean() <= stray
    inputs = torch.randn(128, 3, generator=torch.Generator().manual_seed(seed))
    outputs = hebbian.multiply_blocks(found, inputs, 128) + rest @ inputs
    torch.testing.assert_close(outputs, matrix @ inputs, rtol=1e-3, atol=1e-3)


def test_the_weights_file_is_what_the_course_ships():
    """A file that changed by accident would change every figure of the notebook."""
    content = (checkpoint.WEIGHTS / "googlenet_bn-quick.pt").read_bytes()
    assert (
        hashlib.sha256(content).hexdigest()
        == json.loads((checkpoint.WEIGHTS / "googlenet_bn-quick.json").read_text("utf-8"))[
            "weights_sha256"
        ]
    )
