"""The table of crops and networks: worked out by hand, and resumed where it stopped."""

import json
from dataclasses import asdict

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from inception_course import data, evaluate, models, records, studies, train
from inception_course.evaluate import FASHION, Protocol
from inception_course.studies import ensembles
from inception_course.train import checkpoint

TWO = Protocol(28, (28,), squares=(0.5,), places=("center",))
PROTOCOLS = {1: FASHION[1], 2: TWO}
LABELS = torch.tensor([0, 0, 1, 1])
SETTINGS = {"protocols": {"1": {}, "2": {}}}


def answers(*sure_of_0):
    """Probabilities of two classes, and one second for each image."""
    first = torch.tensor(sure_of_0)
    return {"probabilities": torch.stack([first, 1 - first], 1), "seconds": 4.0}


def by_hand():
    return {
        "a 1": answers(0.9, 0.4, 0.2, 0.3),  # wrong about the second
        "b 1": answers(0.3, 0.9, 0.2, 0.6),  # wrong about the first and the last
        "a 2": answers(0.9, 0.9, 0.1, 0.1),
        "b 2": answers(0.1, 0.9, 0.1, 0.1),  # wrong about the first
    }


def test_rows_are_means_over_every_choice_of_networks():
    table = ensembles.tabulate(by_hand(), ["a", "b"], LABELS, SETTINGS)
    assert [(row.models, row.crops, row.cost) for row in table.rows] == [
        (1, 1, 1),
        (2, 1, 2),
        (1, 2, 2),
        (2, 2, 4),
    ]
    one, both = table.row(1, 1), table.row(2, 1)
    assert (one.lowest, one.error, one.highest) == (0.25, 0.375, 0.5)
    # The means are 0.6, 0.65, 0.2 and 0.45: all right.
    assert (both.lowest, both.error, both.highest) == (0, 0, 0)
    assert both.difference == -0.375
    assert (one.seconds, both.seconds) == (1, 2)
    assert both.overconfidence == pytest.approx((0.6 + 0.65 + 0.8 + 0.55) / 4 - 1)
    assert [single.error for single in table.singles] == [0.25, 0.5, 0, 0.25]
    assert table.models == 2


def test_the_uncertainty_is_that_of_a_paired_difference():
    table = ensembles.tabulate(by_hand(), ["a", "b"], LABELS, SETTINGS)
    assert table.row(1, 1).uncertainty == 0
    # One view is wrong about half, half, none and half of the networks' answers; together never.
    differences = torch.tensor([-0.5, -0.5, 0, -0.5])
    expected = differences.std().item() / 2
    assert table.row(2, 1).uncertainty == pytest.approx(expected)


def test_rows_that_wait_for_answers_are_left_out():
    unfinished = by_hand()
    unfinished["b 2"]["probabilities"] = unfinished["b 2"]["probabilities"][:3]
    table = ensembles.tabulate(unfinished, ["a", "b"], LABELS, SETTINGS)
    assert {row.crops for row in table.rows} == {1}
    with pytest.raises(ValueError, match="there are 1 x 1, 2 x 1"):
        table.row(2, 2)


def test_the_record_comes_back_as_it_was():
    table = ensembles.tabulate(by_hand(), ["a", "b"], LABELS, SETTINGS)
    assert records.from_json(ensembles.Table, records.to_json(table)) == table
    with pytest.raises(ValueError, match="not the record"):
        records.from_json(ensembles.Table, "{}")


def network(folder, seed, **classes):
    torch.manual_seed(seed)
    options = {"stem": "small", "width": 0.05}
    model = models.create("googlenet_bn", **options)
    checkpoint.save_weights(folder / "weights.pt", model, "googlenet_bn", options, **classes)
    recipe = train.Recipe("made", epochs=1, batch_size=8, learning_rate=0.1)
    (folder / checkpoint.RECORD).write_text(train.Run((), recipe, {}).to_json())
    return folder


@pytest.fixture
def folders(tmp_path):
    places = [tmp_path / name for name in ("a", "b")]
    for seed, place in enumerate(places):
        place.mkdir()
        network(place, seed)
    return places


@pytest.fixture(scope="module")
def few():
    return data.fashion_mnist("val", sample=30)


def test_a_network_for_other_pictures_is_not_asked(folders, few, tmp_path):
    network(folders[1], 1, classes=list("abcdefghij"))
    path = tmp_path / "crops.json"
    with pytest.raises(ValueError, match=r"knows a, b, .*: views are compared on Fashion-MNIST"):
        ensembles.measure(folders, few, "val", path)
    assert not path.exists()


@pytest.mark.slow
def test_it_resumes_where_it_stopped(folders, few, tmp_path, monkeypatch):
    monkeypatch.setattr(ensembles, "AT_ONCE", 20)
    path = tmp_path / "made" / "crops.json"
    asked, ask = [], ensembles.multi_crop

    def counted(model, dataset, protocol, **options):
        asked.append(len(dataset))
        return ask(model, dataset, protocol, **options)

    monkeypatch.setattr(ensembles, "multi_crop", counted)
    arguments = (few, "val", path)
    nothing = ensembles.measure(folders, *arguments, protocols=PROTOCOLS, seconds=0)
    assert (asked, nothing.rows) == ([], ())
    alone = ensembles.measure(folders[:1], *arguments, protocols=PROTOCOLS)
    assert asked == [20, 10] * 2
    assert [(row.models, row.crops) for row in alone.rows] == [(1, 1), (1, 2)]
    both = ensembles.measure(folders, *arguments, protocols=PROTOCOLS)
    assert asked == [20, 10] * 4
    assert ensembles.measure(folders, *arguments, protocols=PROTOCOLS) == both
    assert asked == [20, 10] * 4
    assert records.load(ensembles.Table, path) == both
    assert both.singles[0] == alone.singles[0]
    fresh = ensembles.measure(folders, few, "val", tmp_path / "again.json", protocols=PROTOCOLS)
    errors = [[row.error for row in table.rows] for table in (both, fresh)]
    assert errors[0] == errors[1]


@pytest.mark.slow
def test_a_record_of_something_else_is_refused(folders, few, tmp_path):
    path = tmp_path / "crops.json"
    one = {1: FASHION[1]}
    ensembles.measure(folders, few, "val", path, protocols=one)
    fewer = TensorDataset(*(tensor[:20] for tensor in few.tensors))
    with pytest.raises(ValueError, match="answers of other images"):
        ensembles.measure(folders, fewer, "val", path, protocols=one)
    with pytest.raises(ValueError, match="answers of other protocols"):
        ensembles.measure(folders, few, "val", path, protocols=PROTOCOLS)
    with records.claimed(path), pytest.raises(ValueError, match="in use by process"):
        ensembles.measure(folders, few, "val", path, protocols=one)
    network(folders[0], seed=5)
    with pytest.raises(ValueError, match="other weights"):
        ensembles.measure(folders, few, "val", path, protocols=one)
    with pytest.raises(ValueError, match="each of another name"):
        ensembles.measure([folders[0]] * 2, few, "val", path, protocols=one)
    with pytest.raises(checkpoint.CheckpointError, match="there is no"):
        ensembles.measure([tmp_path], few, "val", tmp_path / "none.json", protocols=one)


@pytest.mark.parametrize("recipe", ["quick", "modern"])
def test_the_records_of_the_notebook_can_be_read(recipe):
    table = studies.load(f"crops-{recipe}")
    assert table.settings["protocols"].keys() == {"1", "10", "144"}
    assert len(table.rows) == 3 * table.models
    stored = table.settings["protocols"]["144"]
    assert stored == json.loads(json.dumps(asdict(FASHION[144])))


# Faster answers are the same answers


@pytest.fixture(scope="module")
def model():
    return checkpoint.load_pretrained("googlenet_bn-quick")


@pytest.fixture(scope="module")
def images():
    images, _ = next(iter(data.Batches(data.fashion_mnist("val", sample=20), 20)))
    return images


def prefer(kind, monkeypatch):
    monkeypatch.setattr(
        ensembles, "answer_time", lambda model, images: 1.0 if isinstance(model, kind) else 2.0
    )


@pytest.mark.slow
def test_mixed_answers_agree(model, images, monkeypatch):
    prefer(ensembles.MixedPrecision, monkeypatch)
    quick = ensembles.optimize_for_inference(model, images)
    assert isinstance(quick, ensembles.MixedPrecision)
    sample = data.fashion_mnist("val", sample=1000)
    exact, mixed = (evaluate.predict(net, sample) for net in (model, quick))
    assert mixed.dtype == torch.float32
    # Of the 5,000 validation images four changed their class; which, is up to the machine.
    assert (exact.argmax(dim=1) == mixed.argmax(dim=1)).float().mean() >= 0.995
    assert 1e-4 < (exact - mixed).abs().max() < 0.04 * exact.std()


def test_where_bfloat16_is_slower_only_batch_norm_is_folded(model, images, monkeypatch):
    prefer(nn.Module, monkeypatch)  # no difference
    folded = ensembles.optimize_for_inference(model, images)
    assert not isinstance(folded, ensembles.MixedPrecision)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    sample = data.fashion_mnist("val", sample=100)
    answers = [evaluate.predict(net, sample) for net in (model, folded)]
    torch.testing.assert_close(*answers, rtol=1e-3, atol=1e-3)


def test_the_model_itself_stays_as_it_was(model, images):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    try:
        quick = ensembles.optimize_for_inference(model, images)
        assert all(module.training for module in model.modules())
        assert not any(module.training for module in quick.modules())
    finally:
        model.eval()
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_only_the_first_convolution_keeps_its_precision(model, images):
    mixed = ensembles.MixedPrecision(model)
    seen = []
    for module in mixed.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    with evaluate.eval_mode(mixed):
        mixed(images)
    assert seen == [torch.float32] + [torch.bfloat16] * 56
