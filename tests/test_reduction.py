"""What reductions cost and lose: counts of the paper's blocks, shares of variance, narrow nets."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from inception_course import data, models, records, studies
from inception_course.models.blocks import build
from inception_course.models.googlenet import PRINTED, InceptionSpec
from inception_course.studies import reduction
from inception_course.train import Recipe

BLOCKS = reduction.block_inputs()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_the_nine_blocks_stand_where_table_1_has_them():
    assert [(block.row.name, block.c_in, block.side) for block in BLOCKS] == [
        *(("3a", 192, 28), ("3b", 256, 28)),
        *(("4a", 480, 14), ("4b", 512, 14), ("4c", 512, 14), ("4d", 512, 14), ("4e", 528, 14)),
        *(("5a", 832, 7), ("5b", 832, 7)),
    ]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.row.name)
def test_branches_add_up_to_the_block_and_to_the_paper(block):
    costs = reduction.branches(*block).values()
    whole = reduction.block_cost(*block)
    work = sum(branch.multiply_adds for branch in costs)
    assert work == whole.multiply_adds == whole[block.row.name].multiply_adds
    assert work == sum(branch.weights for branch in costs) * block.side**2
    assert sum(branch.channels for branch in costs) == whole.blocks[0].output[0]
    if block.row.name != "5a":  # its 54 fits 928 input channels, not 832
        assert work / 1e6 == pytest.approx(PRINTED[block.row.name][1], abs=1)


def test_3a_costs_what_the_paper_says_and_its_naive_form_twice_as_much():
    row, c_in, side = BLOCKS[0]
    reduced, naive = (
        reduction.block_cost(each, c_in, side).blocks[0] for each in (row, reduction.naive(row))
    )
    assert (reduced.weights, reduced.output[0]) == (163_328, 256)
    assert (naive.weights, naive.output[0]) == (387_072, 416)
    assert naive.multiply_adds == 387_072 * 28**2
    assert naive.multiply_adds / reduced.multiply_adds == pytest.approx(2.37, abs=0.005)


def test_the_reduction_is_counted_apart():
    costs = reduction.branches(*BLOCKS[0])
    assert {name: branch.reduction for name, branch in costs.items()} == {
        "1x1": 0,
        "3x3": 192 * 96 * 28**2,
        "5x5": 192 * 16 * 28**2,
        "pool": 0,
    }


def test_a_race_times_both_kinds(generator):
    row = InceptionSpec("small", 2, 2, 2, 2, 2, 2)
    threads = torch.get_num_threads()
    times = reduction.time_blocks([reduction.BlockInput(row, 4, 6)], images=2, repeats=2)
    assert times.keys() == {"small"}
    assert times["small"].reduced > 0 < times["small"].naive
    assert torch.get_num_threads() == threads


def test_what_enters_a_block_is_what_the_net_computes():
    net = models.create("googlenet_bn", stem="small", width=0.125).train()
    sample = data.fashion_mnist("val", sample=30)
    seen = []
    hook = net.body["4a"].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images, _ = next(iter(data.Batches(sample, 30)))
    maps = reduction.stage_input(net, "4a", sample)
    assert net.training
    with torch.no_grad():
        net.eval()(images)
    hook.remove()
    torch.testing.assert_close(maps, seen[0])


def test_pixels_are_rows():
    maps = torch.arange(24).view(2, 3, 2, 2)
    assert reduction.pixels(maps).tolist()[:2] == [[0, 4, 8], [1, 5, 9]]
    assert reduction.pixels(maps).shape == (8, 3)


def test_the_spectrum_is_that_of_the_centered_rows(generator):
    rows = torch.randn(200, 7, generator=generator) @ torch.randn(7, 7, generator=generator) + 3
    want = torch.linalg.svdvals((rows - rows.mean(dim=0)).double()) / 200**0.5
    torch.testing.assert_close(reduction.spectrum(rows), want, rtol=1e-4, atol=1e-6)


def test_independent_channels_keep_their_number_and_copies_keep_all(generator):
    independent = torch.randn(50_000, 20, generator=generator)
    share = reduction.explained_variance(reduction.spectrum(independent))
    assert share[4].item() == pytest.approx(5 / 20, abs=0.01)
    assert share[-1].item() == pytest.approx(1)
    copies = independent[:, :1] * torch.arange(1, 21)
    assert reduction.explained_variance(reduction.spectrum(copies))[0].item() == pytest.approx(1)


def test_shuffling_keeps_values_and_breaks_correlation(generator):
    one = torch.randn(5000, 1, generator=generator)
    rows = torch.cat([one, 2 * one], dim=1)
    loose = reduction.shuffled(rows, generator)
    torch.testing.assert_close(loose.sort(dim=0).values, rows.sort(dim=0).values)
    assert torch.corrcoef(rows.T)[0, 1] > 0.99
    assert torch.corrcoef(loose.T)[0, 1].abs() < 0.1


def test_the_best_channels_explain_what_the_spectrum_says_and_others_less(generator):
    mixing = torch.randn(8, 8, generator=generator)
    rows = torch.randn(3000, 8, generator=generator) @ mixing
    best = torch.linalg.eigh(torch.cov(rows.T)).eigenvectors[:, -3:]
    share = reduction.explained_variance(reduction.spectrum(rows))[2].item()
    assert reduction.r2(rows, rows @ best + 5) == pytest.approx(share, abs=1e-5)
    assert reduction.r2(rows, rows[:, :3]) < share
    assert reduction.r2(rows, rows) == pytest.approx(1)
    assert reduction.r2(rows, torch.zeros(3000, 3)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("width", [1, 8, None])
@pytest.mark.parametrize("bypass", [True, False])
def test_all_that_goes_on_went_through_a_reduction_or_there_are_ways_around(width, bypass):
    net = reduction.narrow_net(width, bypass=bypass)
    names = {"1x1", "3x3", "5x5", "pool"} if bypass else {"3x3", "5x5"}
    for block in (net.body["3a"], net.body["3b"]):
        assert block.branches.keys() == names
        for name in ("3x3", "5x5"):
            first = next(m for m in block.branches[name].modules() if isinstance(m, nn.Conv2d))
            if width is None:
                assert first.kernel_size != (1, 1)
            else:
                assert (first.kernel_size, first.out_channels) == ((1, 1), width)
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_the_quarter_width_net_enters_3a_with_48_channels():
    net = reduction.narrow_net(4, bypass=True)
    assert reduction.stage_input(net, "3a", data.fashion_mnist("val", sample=10)).shape[1] == 48


def test_a_record_is_resumed_where_it_stopped(tmp_path, monkeypatch):
    calls = []

    def pretend(width, *, bypass, seed):
        calls.append((width, bypass, seed))
        return reduction.Trained(width, bypass, seed, 1, 0.5)

    monkeypatch.setattr(reduction, "train_narrow", pretend)
    monkeypatch.setattr(reduction, "SEEDS", (0,))
    path = tmp_path / "widths.json"
    result = studies.run(reduction.NarrowNets(), path)
    assert len(calls) == 2 * len(reduction.WIDTHS)
    records.save(replace(result, trainings=result.trainings[:-1]), path)
    assert studies.run(reduction.NarrowNets(), path) == result
    assert len(calls) == 2 * len(reduction.WIDTHS) + 1
    assert len(records.load(reduction.Widths, path).trainings) == 2 * len(reduction.WIDTHS)


def test_a_file_with_something_else_is_refused(tmp_path):
    path = tmp_path / "other.json"
    for text in ("{", '[{"width": 1}]', '{"trainings": [{"width": 1}]}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"other\.json: this is not the record of trained wid"):
            studies.run(reduction.NarrowNets(), path)
        assert path.read_text() == text


@pytest.mark.slow
def test_training_a_narrow_net_leaves_the_random_state_alone(monkeypatch):
    small = {name: data.fashion_mnist(name, sample=200) for name in ("train", "val")}
    monkeypatch.setattr(data, "fashion_mnist", lambda name, **_: small[name])
    state = torch.get_rng_state()
    recipe = Recipe("made", epochs=1, batch_size=50, learning_rate=0.05, momentum=0.9)
    result = reduction.train_narrow(1, bypass=False, seed=3, recipe=recipe)
    assert torch.equal(torch.get_rng_state(), state)
    assert (result.width, result.bypass, result.seed) == (1, False, 3)
    assert 0 <= result.accuracy <= 1
    net = reduction.narrow_net(1, bypass=False)
    assert result.parameters == sum(p.numel() for p in net.parameters())


def test_the_recorded_nets_are_these():
    for each in studies.load("reductions").trainings:
        net = reduction.narrow_net(each.width, bypass=each.bypass)
        assert each.parameters == sum(p.numel() for p in net.parameters())


def test_a_naive_block_passes_every_pooled_channel_on():
    block, channels = build((reduction.naive(BLOCKS[0].row),), 8)
    assert channels == 64 + 128 + 32 + 8
    assert block(torch.rand(1, 8, 5, 5)).shape == (1, channels, 5, 5)
