"""Compare a training shared by processes with the same training by one; torchrun starts it.

torchrun --nproc-per-node 2 tests/shared_training.py FOLDER
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_train import TINY, dots, small_net, without_times
from torch import nn

from inception_course import data, train
from inception_course.train import processes

# 67 images: a last batch of 3, which is too small to share; 19 for validation: 10 and 9.
TRAIN, VAL = dots(67), dots(19, seed=1)
RECIPE = replace(TINY, schedule="one-cycle", ema_decay=0.8, shift=1, flip=True, erase=3)


def plain_net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.Flatten(), nn.Linear(8 * 25, 4))


def gradient(net, images, labels, team):
    """Of the mean loss over a whole batch."""
    images, labels, weight = team.share(images, labels)
    model = team.wrap(net)
    (weight * train.objective(model(images), labels, RECIPE)).backward()
    return torch.cat([p.grad.flatten() for p in net.parameters()])


def outcome(make, team, count, **options):
    """The gradient of a batch of `count` images at first, the run, and the weights after it."""
    images, labels = next(iter(data.Batches(TRAIN, count, seed=3, shuffle=True)))
    first, net = gradient(make(), images, labels, team), make()
    run = train.fit(net, TRAIN, VAL, RECIPE, **options)
    return first, run, torch.cat([value.flatten().float() for value in net.state_dict().values()])


def main(folder):
    alone = [outcome(make, processes.Team(), 15) for make in (plain_net, small_net)]
    with processes.joined("cpu"):
        team = processes.Team()
        for make, expected in zip((plain_net, small_net), alone, strict=True):
            options = {"checkpoint": folder / make.__name__, "every": 0}
            first, run, weights = outcome(make, team, 15, **options)
            torch.testing.assert_close(first, expected[0], rtol=0, atol=1e-5)
            # The running variance counts the images of the batch that all took twice.
            torch.testing.assert_close(weights, expected[2], rtol=0, atol=1e-3)
            for ours, theirs in zip(without_times(run), without_times(expected[1]), strict=True):
                assert abs(ours.train_loss - theirs.train_loss) < 1e-4
                assert abs(ours.val_loss - theirs.val_loss) < 1e-4
                assert (ours.train_accuracy, ours.val_accuracy) == (
                    theirs.train_accuracy,
                    theirs.val_accuracy,
                )
            everyones = team.collect(weights)
            assert all(torch.equal(weights, each) for each in everyones)
            assert run.environment["processes"] == team.size

        # Without the others' statistics the batch norm of 8 images is not that of 15.
        options = {"checkpoint": folder / "apart", "every": 0, "sync_norm": False}
        apart = small_net()
        run = train.fit(apart, TRAIN, VAL, RECIPE, **options)
        assert not any(type(module) is processes.SharedBatchNorm for module in apart.modules())
        assert abs(run.last.train_loss - alone[1][1].last.train_loss) > 1e-4
        assert len(set(team.collect(tuple(without_times(run))))) == 1

        def net(seed):
            return small_net(seed=seed, dropout=0.5)  # drawn by each process for itself

        whole, stopped, fresh = net(0), net(0), net(1)
        one = train.fit(whole, TRAIN, VAL, RECIPE)
        options = {"checkpoint": folder / "stopped", "every": 0}

        def progress(batches):
            for number, batch in enumerate(batches):
                if batches.epoch == 2 and number == 3:
                    train.signal.raise_signal(train.signal.SIGTERM)  # one process only
                yield batch

        with pytest.raises(train.Interrupted, match="after step 4 of 5 in epoch 2"):
            train.fit(stopped, TRAIN, VAL, RECIPE, progress=progress, **options)
        two = train.fit(fresh, TRAIN, VAL, RECIPE, resume=True, **options)
        assert without_times(one) == without_times(two)
        for a, b in zip(whole.state_dict().values(), fresh.state_dict().values(), strict=True):
            assert torch.equal(a, b)
        if team.rank == 0:
            print("the same", team.size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
