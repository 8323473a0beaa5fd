"""Compare a training shared by processes with the same training by one; torchrun starts it.

torchrun --nproc-per-node 2 tests/shared_training.py FOLDER
"""

import signal
import sys
from pathlib import Path

import pytest
import torch
from helpers import RICH, dots, small_net, weights, without_times

from inception_course import train
from inception_course.train import processes

# 68 images: a last batch of 4, which two processes can share as equals.
IMAGES, VAL = dots(68), dots(19, seed=1)


def trained(net, train_set=IMAGES, **options):
    return train.fit(net, train_set, VAL, RICH, **options), weights(net)


def gathered(values):
    """All processes' values are the same; gives them."""
    everyones = processes.all_gather(values)
    assert all(torch.equal(values, each) for each in everyones)
    return values


def compare(folder, alone):
    expected, expected_weights = alone
    run, values = trained(small_net(batch_norm=False), checkpoint=folder / "plain", save_every=0)
    torch.testing.assert_close(gathered(values), expected_weights, rtol=0, atol=1e-5)
    for ours, theirs in zip(without_times(run), without_times(expected), strict=True):
        assert abs(ours.train_loss - theirs.train_loss) < 1e-5
        assert abs(ours.val_loss - theirs.val_loss) < 1e-5
        assert ours.train_accuracy == theirs.train_accuracy
        assert ours.val_accuracy == theirs.val_accuracy
    assert run.environment["processes"] == processes.world_size()


def normalize_apart(alone):
    """Each process normalizes its own share, so that the run differs, and all hold one network."""
    run, values = trained(small_net())
    gathered(values)
    assert abs(run.last.train_loss - alone[0].last.train_loss) > 1e-4


def count_every_image():
    """67 images leave a batch of 3, too small to share: it joins the one before."""
    run, _ = trained(small_net(batch_norm=False), dots(67))
    right = [67 * epoch.train_accuracy for epoch in run.epochs]
    assert all(abs(count - round(count)) < 1e-9 for count in right)


def stop_and_resume(folder):
    def progress(batches):
        for number, batch in enumerate(batches):
            if batches.epoch == 2 and number == 3:
                signal.raise_signal(signal.SIGTERM)  # one process only
            yield batch

    # Each process draws dropout for itself.
    one, whole = trained(small_net(dropout=0.5))
    options = {"checkpoint": folder / "stopped", "save_every": 0}
    with pytest.raises(train.Interrupted, match="after step 4 of 5 in epoch 2"):
        trained(small_net(dropout=0.5), progress=progress, **options)
    two, resumed = trained(small_net(seed=1, dropout=0.5), resume=True, **options)
    assert without_times(one) == without_times(two)
    assert torch.equal(whole, resumed)


def main(folder):
    alone = [trained(small_net(batch_norm=batch_norm)) for batch_norm in (False, True)]
    with processes.process_group("cpu"):
        compare(folder, alone[0])
        normalize_apart(alone[1])
        count_every_image()
        stop_and_resume(folder)
        if processes.rank() == 0:
            print("the same", processes.world_size())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
