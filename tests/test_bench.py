"""The benchmark: what a stopwatch sees, d2l's real loop, and a record that survives."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import course

from inception_course import cost, data, records, studies, train
from inception_course.studies import bench

pytestmark = pytest.mark.slow
CONTEST = bench.Contest(image_size=28, batch_size=8, images=40)


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def result(said):
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    # No full data is needed for the times of recorded runs.
    result = bench.run(bench.QUICK, repeats=2, root="no-such-folder", watch=said.append)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    return result


def test_everything_is_measured_in_every_round(result, said):
    assert [bench.Case(timing.recipe, timing.network) for timing in result.timings] == list(
        bench.QUICK.cases
    )
    for timing in result.timings:
        assert len(timing.step) == len(timing.data) == 2
        assert min(*timing.step, *timing.data) > 0
        assert timing.precision == "float32"
        for rate, step in zip(timing.images_per_second, timing.step, strict=True):
            assert 0 < rate < 1 / step
    assert result.peaks.keys() == {"float32"}
    assert len(result.peaks["float32"]) == 2
    assert sum(sentence.startswith("round 2 of 2") for sentence in said) == len(said) // 2


def test_a_recorded_step_does_not_reach_the_peak_of_large_products():
    recorded = studies.load("bench")
    for timing in recorded.timings:
        assert min(timing.step) > max(timing.data)
        assert all(0 < part < 1 for part in recorded.peak_fractions(timing))


def test_curves_change_one_quantity(result):
    assert list(result.curve("image_size")) == [28, 32]
    assert list(result.curve("width")) == [0.125, 0.25]
    assert list(result.curve("batch_size")) == [8, 16]
    assert result.curve("width")[0.125] is result.curve("batch_size")[16] is result.timings[0]


def test_new_runs_ask_for_their_data_before_anything_is_measured():
    said = []
    with pytest.raises(data.DataError, match="there is no folder"):
        bench.run(bench.QUICK, train_recipes=True, root="no-such-folder", watch=said.append)
    assert said == []


def test_a_record_survives_json(result):
    assert records.from_json(bench.Benchmark, records.to_json(result)) == result
    for text in ("", "[]", "{}", '{"races": [1]}'):
        with pytest.raises(ValueError, match="not the record of a benchmark"):
            records.from_json(bench.Benchmark, text)


def test_the_report_names_every_ratio(result):
    report = bench.report(result)
    for timing in result.timings:
        assert report.count(str(timing)) >= 2
    for kind in (*bench.KINDS, bench.REST):
        assert f"  {kind}" in report
    for sentence in result.left_out:
        assert sentence in report


def test_a_profile_covers_the_whole_step(result):
    (profile,) = result.profiles
    assert list(profile.shares) == [*bench.KINDS, bench.REST]
    assert sum(profile.shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in profile.shares.values())


def test_the_profiler_leaves_the_environment_alone():
    before = dict(os.environ)
    with bench.quiet_profiler():
        torch.ones(2).sum()
    assert dict(os.environ) == before


def test_the_stopwatch_tells_waiting_from_working(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])

    def batches():
        for wait in (3, 5):
            now[0] += wait
            yield torch.zeros(4), torch.zeros(4)

    watch = bench.Stopwatch(batches())
    for _ in watch:
        now[0] += 10
    assert (watch.waits, watch.steps, watch.images) == ([3, 5], [10, 10], 8)
    assert watch.images_per_second == 8 / 28


def test_multiply_adds_of_a_step():
    """Three products a layer, but for the first: no gradient of the images."""
    case = bench.QUICK.cases[0]
    costs = cost.table(case.create(), (1, 28, 28))
    first = 28 * 28 * 8 * 9  # 8 channels of 3x3 on one channel
    assert bench.step_multiply_adds(case) == 3 * costs.multiply_adds - first


def test_no_later_round_searches_again():
    case = bench.named("quick")
    fast = bench.StepTimes(1.0, 1.0, train.Precision("bfloat16", "channels_last"))
    other = fast._replace(precision=train.Precision("float32", "contiguous_format"))
    assert bench.settled(case, []) == case
    assert bench.settled(case, [fast]).recipe == replace(case.recipe, precision="bfloat16")
    assert bench.settled(case, [other]) == case  # a name alone would change the layout


def test_time_to_an_accuracy_is_that_of_whole_epochs():
    epoch = train.Epoch(1, 0.1, 2.0, 0.4, 1.5, 0.6, 3.0, 800.0)
    epochs = tuple(replace(epoch, number=n, val_accuracy=a) for n, a in ((1, 0.8), (2, 0.9)))
    run = train.Run(epochs, train.RECIPES["quick"], {"classes": 10})
    seconds = [bench.first_time(run, accuracy, True).seconds for accuracy in (0.8, 0.85, 0.95)]
    assert seconds == [3.0, 6.0, None]


def test_the_recorded_runs_are_read():
    recipes = {run.recipe.name for run in bench.recorded_runs()}
    assert {"quick", "modern"} <= recipes


def test_rounds_must_be_one_or_more():
    with pytest.raises(ValueError, match="repeats must be 1 or more, not 0"):
        bench.run(bench.QUICK, repeats=0)


def test_without_d2l_its_race_is_left_out(monkeypatch):
    for name in ("d2l", "d2l.torch"):
        monkeypatch.setitem(sys.modules, name, None)  # what Python raises ImportError for
    budget = replace(bench.QUICK, cases=bench.QUICK.cases[:1])
    result = bench.run(budget, repeats=1)
    assert result.races == ()
    assert result.d2l_seconds is None
    assert result.left_out == ("d2l is not installed, so its loop was not raced.",)
    assert bench.report(result).count("d2l.train_ch6") == 0


@pytest.mark.needs("d2l")
def test_the_race_is_against_d2ls_own_loop(result):
    (race,) = result.races
    assert (race.image_size, race.batch_size, race.images) == CONTEST
    assert len(race.ratios) == 2
    assert all(ratio > 0 for ratio in race.ratios)
    assert race.ratios[0] == race.fit[0] / race.d2l[0]
    assert result.d2l_seconds is None  # it is known at the size of d2l's recipe alone
    at_96 = replace(result, races=(replace(race, image_size=96, d2l=(100.0, 100.0)),))
    assert at_96.d2l_seconds == 6000


@pytest.mark.needs("d2l")
def test_d2ls_function_is_called_and_left_as_it_was(capsys):
    d2l = bench.import_d2l()
    animator, state, here = d2l.Animator, torch.random.get_rng_state(), Path.cwd()
    called = []
    real = d2l.train_ch6

    def train_ch6(network, batches, test_batches, epochs, rate, device):
        called.append((type(batches.batches), epochs, rate))
        real(network, batches, test_batches, epochs, rate, device)

    d2l.train_ch6 = train_ch6
    try:
        watch = bench.d2l_pass(CONTEST, d2l)
    finally:
        d2l.train_ch6 = real
    assert called == [(torch.utils.data.DataLoader, 1, 0.1)]
    assert (watch.images, len(watch.steps)) == (40, 5)
    assert d2l.Animator is animator
    assert torch.equal(torch.random.get_rng_state(), state)
    assert Path.cwd() == here
    assert capsys.readouterr().out == ""


@pytest.mark.needs("d2l")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
def test_d2ls_loader_finds_our_images():
    loaders = bench.d2l_loaders(CONTEST._replace(image_size=32), bench.import_d2l())
    train_data, test_data = (loader.dataset for loader in loaders)
    images, labels = data.fashion_mnist("train", sample=40).tensors
    assert torch.equal(train_data.data, images[:, 0])
    assert torch.equal(train_data.targets, labels)
    assert (len(test_data), loaders[0].num_workers) == (8, 4)
    assert train_data[0][0].shape == (1, 32, 32)


def test_the_command_leaves_record_and_figure(tmp_path):
    folder = tmp_path / "new"
    done = course("bench", "--quick", "--repeats", 1, "--out", folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "round 1 of 1" in done.stdout
    result = records.load(bench.Benchmark, folder / "bench.json")
    assert bench.report(result) in done.stdout
    assert (folder / "bench.png").read_bytes().startswith(b"\x89PNG")
    again = course("bench", "--quick", "--out", folder)
    assert again.returncode == 1
    assert "already holds a result" in again.stderr
