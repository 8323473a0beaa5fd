"""Answers of readers that the tables of the exercises do not hold.

Wrong ones stand with a part of what is said to each, right ones are written in another way than the
solution.
"""

import copy
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from inception_course import data, models, train
from inception_course.lessons.exercises import ch03, ch04, ch05, ch06, ch07, ch08, ch09, ch10, ch11
from inception_course.studies import saturation


def normalized_in_place(images, mean, std):
    images.sub_(1)
    return (images.float() / 255 - mean) / std


def convolved(maps, weight, bias):
    return F.conv2d(maps, weight[:, :, None, None], bias)


def deep(layers=44, kind="residual", norm=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.resnet_small(layers=layers, kind=kind, stride=2, width=0.5, norm=norm)


def scaled(net, factor):
    with torch.no_grad():
        for block in net.body.values():
            for parameter in block.parameters():
                parameter.mul_(factor)
    return net


def popping(chain):
    field = 1
    while chain:
        window, stride = chain.pop()
        field = (field - 1) * stride + window
    return field


def always_3a(*row):
    return 163_328 * len(row) // 7


def centered_in_place(x, gamma, beta, eps):
    x -= x.mean(dim=(0, 2, 3), keepdim=True)
    x_hat = x / torch.sqrt(x.square().mean(dim=(0, 2, 3), keepdim=True) + eps)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


def batch_norm(x, gamma, beta, eps):
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


def folded_in_place(linear, norm):
    with torch.no_grad():
        linear.weight.mul_((norm.weight / torch.sqrt(norm.running_var + norm.eps))[:, None])
    return linear


def wiping_the_norm(linear, norm):
    folded = ch07.fold(linear, norm)
    norm.reset_running_stats()
    return folded


def leaving_eval(linear, norm):
    norm.train()
    return ch07.fold(linear, norm)


def folded_in_double(linear, norm):
    """Copy into double precision whatever the layer was."""
    linear, norm = copy.deepcopy(linear).double(), copy.deepcopy(norm).double()
    folded = ch07.fold(linear, norm).double()
    folded.weight.data = (
        linear.weight * (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None]
    )
    return folded


WRONG_ALONE = 10  # a row of the validation sample that the trained network is wrong about


def pullovers():
    """Twenty pullovers, the first of which the trained network knows."""
    labels = data.fashion_mnist("val", sample=1000).tensors[1]
    return (labels == 2).nonzero().flatten()[:20].tolist()


def one_hot(shift):
    """Be sure of the right class, or of one that lies `shift` classes from it."""
    labels = data.fashion_mnist("val", sample=1000).tensors[1]
    return F.one_hot((labels + shift) % 10, 10).float()


def step_on_all(model, optimizer, parts):
    images, labels = (torch.cat(each) for each in zip(*parts, strict=True))
    for parameter in model.parameters():
        parameter.grad = None
    nn.CrossEntropyLoss()(model(images), labels).backward()
    optimizer.step()


def step_that_clears_up(model, optimizer, parts):
    for images, labels in parts:
        F.cross_entropy(model(images), labels).div(len(parts)).backward()
    optimizer.step()
    optimizer.zero_grad()


def run_of(accuracy, images=1000, **options):
    recipe = train.Recipe("other", **{"epochs": 1, "batch_size": 8, "learning_rate": 0.1} | options)
    epoch = train.Epoch(1, 0.1, 2.0, 0.4, 1.5, accuracy, 3.0, 800.0)
    return train.Run((epoch,), recipe, {"train_images": images})


def row_of(table, left_out):
    """Leave a row out of a table."""
    return "\n".join(row for row in table.splitlines() if not row.startswith(left_out))


def symmetric_pair(kernel):
    """Give both the root of the singular value, and turn both around."""
    u, s, v = torch.linalg.svd(kernel.double(), full_matrices=False)
    return -s[0].sqrt() * u[:, 0], -s[0].sqrt() * v[0]


WRONG = {
    "ch00.q1": [("20", "per cent"), (-0.2, "between 0 and 1"), ("a fifth", "wants a number")],
    "ch00.q2": [
        (normalized_in_place, "changed `images`"),
        (lambda images, mean, std: images, "of floats is wanted, and yours holds whole numbers"),
        (lambda images, mean, std: (images / 255 - mean).flatten() / std, "the shape [1, 1, 16"),
        (torch.zeros(3), "by its name"),
    ],
    "ch00.q3": [("2 times", "divide"), ("11.5 %", "inverse"), (871, "per cent")],
    "ch00.q4": [
        ("better", "choose one of 'higher', 'lower' or 'the same'"), (3, "you gave 3"), ("", "''"),
    ],
    "ch00.q5": [
        (0.018, "less than 0.26"),
        (0.03, "less than 0.26"),
        (0.12, "the loss grows"),
        (0.2, "the loss grows"),
        (-0.05, "between 0 and 1"),
        ("fast", "a learning rate"),
    ],
    "ch01.q1": [(7, "448 / 32"), ("411.04", "millions"), (4e8, "448"), (-411_041_792, "sign")],
    "ch01.q2": [(lambda chain: "wide", "a number is wanted")],
    "ch01.q3": [(1660, "divide"), ("a few", "wants a number"), (-28, "sign")],
    "ch01.q4": [
        ([(3, 1)] * 4, "sees 9 pixels"),
        ([(3, 2)] * 5, "one to four windows; yours has 5"),
        ([(7, 2), (3, 2)], "windows of 3 pixels only"),
        ([(3, 2), (3, 2), (3, 2), (5, 2)], "windows of 3 pixels only"),
        ([(3, 0), (3, 2)], "strides of 1, 2 or 3"),
        ([(3, 14), (3, 1)], "skips pixels"),
        ([3, 3, 3, 3], "a list of pairs"),
        ("3, 2", "a list of pairs"),
        (31, "a list of pairs"),
    ],
    "ch02.q1": [(10, "rows 0"), ("12 stripes", "not what it counts"), (1 / 12, "inverse")],
    "ch02.q2": [(lambda image: image, "image, crop")],
    "ch02.q3": [
        ((6, 4), "lie [0, 2, 4] pixels"),
        ((4, 2), "lie [0, 2] pixels"),
        ((5, 12), "do not look the same"),
        ((1, 4), "1 is none"),
        ((4, 40), "40 is none"),
        ((2.5, 5), "2.5 is none"),
        ((4,), "you give 1"),
        (4, "two whole numbers"),
    ],
    "ch03.q1": [
        (lambda weights, inputs, rate: weights.add_(rate), "changed `weights`"),
        (lambda weights, inputs, rate: (inputs @ weights).mean(), "shape [4], and yours []"),
        (lambda weights, inputs, rate: weights / weights.norm(), "differ"),
        (lambda weights, inputs, rate: (2 * weights).tolist(), "differ"),
        (lambda weights, inputs, rate: sys.exit(1), "ends the whole program at `"),
    ],
    "ch03.q2": [
        (1.2, "between 0 and 1"),
        (1 / 3, "Where do most strangers lie"),
        (0.5, "Where do most strangers lie"),
        (2 / 3, "too far right"),
        (0.8, "right of both humps"),
        ("high", "a threshold, a number"),
    ],
    "ch03.q3": [
        (0.36, "that is block 3a"),
        (0.59, "the part that is zero"),
        (0.2, "fills one"),
        ("a third", "wants a number"),
    ],
    "ch03.q4": [(32, "all of its entries"), (18.432, "thousands"), (18_400, "close")],
    "ch03.q5": [
        ((18, 84, 108), "contains the 3x3"),
        ((18, 66, 24), "108 of 120"),
        ((40, 40, 40), "ignore the numbers"),
        ("20, 27, 73", "part of 120 / 0.9"),
        (torch.tensor([10, 10, 10]), "sum to 30"),
        ((20, 100), "three widths"),
        (20, "three numbers in a tuple; you gave 20"),
    ],
    "ch04.q1": [
        (lambda maps, weight, bias: maps @ weight.T, "stops at"),
        (lambda maps, weight, bias: [[1.0], [1.0, 2.0]], "this is a list of 2"),
        (lambda maps, weight, bias: convolved(maps, weight, bias)[:1].tolist(), "yours [1, 6, 3,"),
    ],
    "ch04.q2": [(1, "channels in x"), (193.536, "thousands")],
    "ch04.q3": [
        (always_3a, "right for c_in 192, one 64"),
        (lambda *row: ch04.block_weights(*row) + 1, "should be 163,328, and yours is 163,329"),
    ],
    "ch04.q4": [
        ("all", "choose"),
        ("3", "choose"),
        ((3, 5), "choose"),
        ("3x3 and 5x5", "choose"),
        ((5, 5), "9.7 %"),
        ("the pool branch", "3.8 %"),
    ],
    "ch04.q5": [
        ((64, 96, 128, 16, 32, 32), "163,328 weights"),
        ((64, 32, 96, 16, 32, 32), "224 channels come out"),
        ((160, 8, 32, 8, 32, 32), "only 64 channels come from windows"),
        ((96, 0, 96, 16, 32, 32), "at least 1"),
        ([96.5, 32, 96, 16, 32, 31.5], "one of yours is 96.5"),
        ((96, 96, 32, 32), "you give 4"),
        ("narrow", "six widths in a tuple"),
    ],
    "ch05.q1": [
        (lambda main, aux, labels: main, "a number is wanted"),
    ],
    "ch05.q2": [(9.34, "five times"), (11, "rounded up"), ("81", "are on one side")],
    "ch05.q3": [
        (row_of(ch05.five_million(), "5b"), "8 blocks"),
        (ch05.five_million().replace("384   16  128  128", "384   16  128   64"), "960 channels"),
        (ch05.five_million().replace("32   32   64   16", "256  160  320   32"), "5,984,424"),
        (ch05.five_million().replace("128  128  192", "32   16   64"), "billion"),
        (ch05.five_million().replace("3a     64", "3a"), "a table like TABLE_1"),
        (5_000_000, "a table like TABLE_1"),
        (row_of(row_of(ch05.five_million(), "pool3"), "pool4"), "keep the rows pool3 and pool4"),
        (ch05.five_million().replace("pool4", "pool5\npool4"), "14, 14, 3, 3]: keep the rows"),
        (ch05.five_million().replace("3a", "3.a"), "you gave a text of 11 lines"),
        (ch05.five_million().replace("3a", "pool3"), "a name of its own"),
        (ch05.five_million().replace("208", "2" * 30), "and 5,000,000 are allowed"),
        (lambda: sys.exit(1), "ends the whole program at `"),
    ],
    "ch05.q4": [
        ("5c", "choose"),
        ("block 4", "choose"),
        ("after block 4d", "203"),
        (4, "choose"),
        ("4d", "203"),
    ],
    "ch06.q1": [
        (512, "between 0 and 1"),
        (0.00098, "how many steps"),
        (0.0000038, "at a gain of 1"),
        ("half", "wants a number"),
    ],
    "ch06.q2": [
        (lambda *arguments: ch06.normalize(*arguments)[:, :1], "shape [5, 3, 2, 4]"),
        (lambda *arguments: (2 * ch06.normalize(*arguments)).tolist(), "section 3.2"),
        (centered_in_place, "the values are right, but your function changed `x`"),
    ],
    "ch06.q3": [
        (saturation.signal(8, depth=20), "has 20 layers"),
        (saturation.signal(10, depth=40, norm=nn.BatchNorm1d), "is that a plain network"),
        (saturation.signal(4, depth=40), "it fades"),
        (saturation.signal(16, depth=40), "the gradient grows"),
        (10, "the result of saturation.signal"),
    ],
    "ch07.q1": [(5, "divide"), (233, "per cent"), (17.7, "difference"), (0.43, "inverse")],
    "ch07.q2": [
        (lambda linear, norm: nn.Sequential(linear, norm), "one nn.Linear is wanted"),
        (lambda linear, norm: linear.weight, "one nn.Linear is wanted, and this is a tensor"),
        (folded_in_place, "changed `linear`"),
        (wiping_the_norm, "changed `norm`"),
        (leaving_eval, "changed `norm`"),
        (lambda linear, norm: nn.Linear(3, 3), "one after the other"),
    ],
    "ch07.q3": [
        ([5, 7], "the size 2"),
        (list(range(30)), "the size 30"),
        ([0] * 12, "11 of your rows stand there more than once"),
        ([0, 1000], "and you give 1000"),
        ([0, 0.5], "and you give 0.5"),
        ([0, *range(500, 519)], "still class 2"),
        ([WRONG_ALONE, *range(500, 519)], "even alone"),
        ("pullovers", "row numbers in a list"),
    ],
    "ch08.q1": [
        (1000, "minus"),
        (2.303, "ten classes"),
        ("6.908 bits", "not what it counts"),
        ("9.97 bits", "natural"),
        (6.86, "close"),
        (0.1448, "inverse"),
        ("-6.908", "minus that"),
    ],
    "ch08.q2": [
        (lambda batches: 0.5, "largest logit"),
        (lambda batches: torch.tensor(0.5, dtype=torch.bfloat16), "largest logit"),
    ],
    "ch08.q3": [(4.69, "thousands"), (5000, "round up"), ("5.000.000", "round up")],
    "ch08.q4": [
        (run_of(0.9, images=2000), "learned from 2,000 images"),
        (run_of(0.9, epochs=3), "made 3 passes"),
        (run_of(0.9, ema_decay=0.99), "averages the weights"),
        (run_of(0.4), "ends at 0.400"),
        (0.7, "the run that train.fit gives"),
    ],
    "ch09.q1": [(12, "which factor"), (-48, "sign")],
    "ch09.q2": [
        (lambda logits: logits.softmax(2).mean(0).argmax(1).float(), "holds floats"),
        (lambda logits: torch.zeros(4, 1).long(), "the shape [4], and yours [4, 1]"),
    ],
    "ch09.q3": [
        ("28 minutes", "not what it counts"),
        (1, "images x networks x views"),
        (2.8, "images"),
    ],
    "ch09.q4": [
        (one_hot(0), "right for 100% of the images"),
        (one_hot(1), "calibration error is 1.000"),
        (torch.full((1000, 10), 0.2), "sum to 1"),
        ([[0.112] * 9 + [-0.008]] * 1000, "never below 0, and one of yours is -0.008"),
        ([[0.1] * 10] * 999, "shape [1000, 10]"),
        (lambda: 0.9 * one_hot(3) + 0.01, "How sure may"),
        (torch.full((10,), 0.1), "shape [1000, 10]"),
        (0.1, "a row for each validation image"),
    ],
    "ch10.q1": [
        (lambda labels, classes, eps: eps, "a tensor is wanted"),
        (lambda labels, classes, eps: torch.full((4, 4), 0.25), "share of eps"),
    ],
    "ch10.q2": [(9, "logarithm"), (4.51, "ten classes"), (3.95, "base 10")],
    "ch10.q3": [
        (lambda kernel: kernel, "a column and a row is wanted"),
        (lambda kernel: (torch.ones(7), torch.ones(7)), "nearest"),
    ],
    "ch10.q4": [
        (((9, 9),), "no factorization"),
        (((1, 9), (9, 1)), "one side is 9 long"),
        (((3, 3),) * 4, "36 weights"),
        (((1, 3), (3, 1)) * 4, "24 weights"),
        (((1, 5), (5, 1)), "see 5x5"),
        (((0, 5), (5, 1)), "smallest side is 0"),
        (5, "windows in a tuple"),
        ((1, 2, 3), "windows in a tuple"),
        (((1.9, 5.9), (5.5, 1.5), (1, 5), (5, 1)), "of whole numbers"),
        (((True, 5), (5, 1), (1, 5), (5, 1)), "of whole numbers"),
        ([], "you give 0"),
    ],
    "ch11.q1": [
        (lambda x, *layers: ch11.residual(x, *layers).clamp(max=6), "activated sum"),
        (lambda x, first, second: F.relu(x + second(F.relu6(first(x)))), "activated sum"),
        (lambda x, first, second: x, "activated sum"),
        (lambda x, first, second: x[:, :1], "the shape [2, 4, 5, 5], and yours [2, 1, 5, 5]"),
    ],
    "ch11.q2": [(8.35, "close"), (8.5, "both separable ones")],
    "ch11.q3": [
        (3, "between 0 and 1"),
        ("16:1", "how many times fewer"),
        ("2^-3", "four blocks"),
        (0.07, "17 blocks and with 21"),
    ],
    "ch11.q4": [
        (deep(layers=8), "3 blocks"),
        (deep(norm=nn.BatchNorm2d), "43 normalizations"),
        (deep(kind="plain"), "21 of its blocks have no shortcut"),
        (deep(), "at most 10 is asked for"),
        (deep().double(), "at most 10 is asked for"),
        (lambda: scaled(deep(), 0), "it does not learn"),
        (nn.Linear(2, 2), "models.resnet_small makes"),
    ],
}  # fmt: skip

RIGHT = {
    "ch00.q1": ["20%", "20 %", "1/5", "1 in 5", "0,2"],
    "ch00.q2": [
        lambda images, mean, std: (images / 255.0).sub(mean).div(std),
        lambda images, mean, std: images.double() / (255 * std) - mean / std,
        lambda images, mean, std: (images.numpy() / 255 - mean) / std,
        lambda images, mean, std: ((images / 255 - mean) / std).tolist(),
        lambda images, mean, std: [*((images / 255 - mean) / std)],
    ],
    "ch00.q3": [61.0 / 7.0, 8.7, "≈ 8.71", "8.7×", "8.7 x", "8,711", "8.71 times"],  # noqa: RUF001
    "ch00.q4": [
        "Lower", "'LOWER'.", "a little lower", "(lower)", " lower ", "lower.", "A little lower",
        "a_little_lower", "a-little-lower", "LOWER",
    ],
    "ch00.q5": [0.08, "0.07", "9 %", 1 / 11],
    "ch01.q1": [
        411_045_888, "411,041,792", "411 041 792", "411.041.792",
        "411.041.792 weights", "411.042 million",
        "4.11041792×10⁸", "4.11041792 * 10^8",  # noqa: RUF001
    ],
    "ch01.q2": [popping],
    "ch01.q4": [[(3, 2), (3, 3), (3, 3), (3, 1)], [[3, 3]] * 4, np.full((4, 2), (3, 2))],
    "ch01.q3": ["28.0", "28,0", "28 images"],
    "ch02.q1": ["12 px", "12 pixels", "12px"],
    "ch02.q3": [(2, 4), [3, 9], "5, 20", np.array([6, 6])],
    "ch03.q1": [
        lambda weights, inputs, rate: (
            weights
            + rate * ((inputs @ weights) @ inputs - (inputs @ weights).norm() ** 2 * weights)
            / len(inputs)
        ),
        lambda *arguments: ch03.oja_batch(*arguments).tolist(),
    ],
    "ch03.q2": [0.56, "0.6", 0.6],
    "ch03.q3": [0.41, "41 %", "0.409", 4256 / 10_400],
    "ch03.q5": [[20, 73, 27], "20, 73, 27", "(20,73,27)", np.array([20.0, 73.3, 26.7]),
        "20,0; 73,3; 26,7", "20.0 73.3 26.7", "[20; 73; 27]"],
    "ch04.q1": [
        convolved,
        lambda *arguments: convolved(*arguments).tolist(),
        lambda maps, weight, bias: (
            torch.einsum("bchw,oc->bohw", maps, weight) + bias[:, None, None]
        ),
    ],
    "ch04.q4": [
        "3×3", " 3X3 ", "`3x3`", "3 x 3", "3 × 3", "3x3 branch", "the 3×3 branch", (3, 3), "(3, 3)",  # noqa: RUF001
    ],
    "ch04.q5": [[64, 32, 128, 8, 32, 32], "96, 32, 96, 16, 32, 32"],
    "ch05.q1": [
        lambda main, aux, labels: (
            F.cross_entropy(main, labels)
            + sum(0.3 * F.nll_loss(a.log_softmax(1), labels) for a in aux)
        ).item(),
    ],
    "ch05.q4": ["block 4e", "inception_4e", "(4e)", "Inception 4E", "4 e", "after 4e", "block4e"],
    "ch06.q1": [
        "0.00195313", 0.00195312, 0.002, "1.95×10⁻³", "1.95e-3",  # noqa: RUF001
        "2^-9", "0.5**9", "(0.5)^9", "(1/2)^9", "½^9", "1/2^9", "1:512",
    ],
    "ch06.q2": [batch_norm, lambda *arguments: batch_norm(*arguments).tolist()],
    "ch06.q3": [saturation.signal(10, depth=40), lambda: saturation.signal(11, depth=40)],
    "ch07.q2": [folded_in_double],
    "ch07.q1": ["2.33×", "2.3x", "2,33 times"],  # noqa: RUF001
    "ch07.q3": [pullovers, torch.tensor(pullovers()), ", ".join(map(str, pullovers()))],
    "ch08.q4": [run_of(0.7), lambda: run_of(0.51, batch_size=4)],
    "ch08.q5": [step_on_all, step_that_clears_up],
    "ch08.q1": ["6,908", "6.908 nats", "6,91 nats"],
    "ch08.q3": ["4690 steps", "4,690", "4,690 Steps."],
    "ch08.q2": [
        lambda batches: torch.tensor(ch08.mean_accuracy(batches), dtype=torch.bfloat16),
        lambda batches: torch.tensor(ch08.mean_accuracy(batches), dtype=torch.float16),
        lambda batches: np.float16(ch08.mean_accuracy(batches)),
        lambda batches: torch.cat([(a.argmax(1) == b).double() for a, b in batches]).mean(),
    ],
    "ch09.q2": [lambda logits: ch09.answer(logits).tolist(), lambda x: [*ch09.answer(x)]],
    "ch09.q3": ["28 hours", "28 h", "28h"],
    "ch09.q4": [
        [[0.1] * 10] * 1000,
        [torch.full((10,), 0.1)] * 1000,
        np.full((1000, 10), 0.1),
        lambda: torch.full((1000, 10), 0.1).add(torch.eye(10)[0] * 1e-3).softmax(1),
    ],
    "ch10.q1": [
        lambda labels, classes, eps: (
            torch.eye(classes)[labels] * (1 - eps) + torch.full((classes,), eps / classes)
        ),
        lambda labels, classes, eps: [
            [eps / classes + (1 - eps) * (each == label) for each in range(classes)]
            for label in labels.tolist()
        ],
    ],
    "ch10.q2": [9.1, "9.105", "9,105"],
    "ch10.q3": [
        symmetric_pair,
        lambda kernel: (ch10.best_pair(kernel)[0], ch10.best_pair(kernel)[1].float()),
        lambda kernel: (ch10.best_pair(kernel)[0].float(), ch10.best_pair(kernel)[1].numpy()),
        lambda kernel: [each.flatten().tolist() for each in ch10.best_pair(kernel)],
    ],
    "ch11.q1": [
        lambda x, first, second: torch.clamp(second(first(x).clamp(min=0)) + x, min=0),
    ],
    "ch11.q2": [8.4, "8.41", 73_728 / 8_768],
    "ch11.q3": ["1/16", "6.25 %", 0.0625, 0.063, "6.3 %", 0.062, "1:16", "2^-4", "2⁻⁴", "2**-4"],
    "ch11.q4": [
        lambda: scaled(deep(), 0.5),
        lambda: scaled(deep(), 0.5).double(),
        lambda: scaled(deep(), 0.5).half(),
        lambda: scaled(deep(), 0.5).bfloat16(),
    ],
    "ch10.q4": [[[5, 1], [1, 5], [5, 1], [1, 5]], torch.tensor([[1, 5], [1, 5], [5, 1], [5, 1]])],
}  # fmt: skip
