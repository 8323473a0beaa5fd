"""Kill a training at random moments, resume it each time, and compare it with one never killed.

    python tests/kill_and_resume.py FOLDER KILLS SEED

Forks, since importing torch takes longer than the training; so torch must not have used threads.
"""

import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from helpers import RICH, TINY, TRAIN, VAL, dots, small_net, without_times

from inception_course import train
from inception_course.train import checkpoint, processes

RECIPE = replace(RICH, epochs=8)
IMAGES = dots(400)  # 25 steps an epoch


def fork_and_train(folder):
    """A child that trains until it is done and saves after every step.

    Gives its process id, and a pipe with a byte for each step that it began.
    """
    steps, begun = os.pipe()
    if pid := os.fork():
        os.close(begun)
        return pid, steps

    def progress(batches):
        for batch in batches:
            os.write(begun, b".")
            yield batch

    status = 1
    try:
        seed = os.getpid() if last_state(folder) else 0  # the seed of the first counts
        options = {"checkpoint": folder, "resume": True, "save_every": 0, "progress": progress}
        train.fit(small_net(seed, dropout=0.5), IMAGES, VAL, RECIPE, **options)
        status = 0
    finally:
        os._exit(status)


def last_state(folder):
    states = [checkpoint.read_state(path) for path in folder.glob("checkpoint-*.pt")]
    return max(states, key=lambda each: each["count"])["state"] if states else None


def outcome(folder):
    """Weights, averaged weights, optimizer and history, as the last checkpoint has them."""
    state = last_state(folder)
    return state | {"run": without_times(train.Run.from_json(state["run"]))}


def same(one, two):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    return one == two


def main(folder, kills, seed):
    torch.set_num_threads(1)
    processes.usable_cores = lambda: 1
    train.fit(small_net(), TRAIN, VAL, TINY)  # imports what torch puts off
    pid, _ = fork_and_train(folder / "whole")
    assert os.waitpid(pid, 0) == (pid, 0)
    expected = outcome(folder / "whole")

    draw = random.Random(seed)
    killed, attempt, unfinished, places = 0, 0, 0, set()
    while killed < kills:
        attempt += 1
        finished = False
        while not finished:
            place = folder / f"killed-{attempt}"
            pid, steps = fork_and_train(place)
            if killed < kills:  # in one of its first steps, at any moment of the step
                for _ in range(draw.randint(1, 20)):
                    os.read(steps, 1)
                time.sleep(draw.uniform(0, 0.01))
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            os.close(steps)
            finished = status == 0
            assert finished or os.WTERMSIG(status) == signal.SIGKILL, status
            if not finished:
                killed += 1
                unfinished += any(place.glob(".*.part"))
                if state := last_state(place):
                    places.add((attempt, state["position"]["epoch"], state["position"]["step"]))
        assert same(outcome(place), expected), f"after {killed} kills"
    within = sum(step > 0 for _, _, step in places)
    print(
        f"{killed} kills left {len(places)} places, {within} within an epoch, {unfinished} files "
        f"half written; {attempt} runs alike"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
