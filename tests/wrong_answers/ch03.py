"""Wrong answers to notebook 03."""

from torch.nn import functional as F

from inception_course.lessons.exercises import ch03


def without_bias(maps, weight, bias):
    return F.conv2d(maps, weight[:, :, None, None])


def channels_last(maps, weight, bias):
    return F.linear(maps.permute(0, 2, 3, 1), weight, bias)


def reshaped(maps, weight, bias):
    rows = F.linear(maps.permute(0, 2, 3, 1), weight, bias)
    return rows.reshape(len(maps), len(weight), *maps.shape[2:])


def activated(maps, weight, bias):
    return F.conv2d(maps, weight[:, :, None, None], bias).relu()


def averaged(maps, weight, bias):
    return F.linear(maps.mean(dim=(2, 3)), weight, bias)


def nothing(*arguments):
    forgotten = len(arguments)  # noqa: F841 - computed, and not returned


def without_pool(*row):
    return ch03._weights(*row[:-1], 0)


def without_reductions_counted(c_in, one, r3, c3, r5, c5, pool):
    return c_in * (one + pool) + 9 * r3 * c3 + 25 * r5 * c5


def nine_for_all(c_in, one, r3, c3, r5, c5, pool):
    return c_in * (one + r3 + r5 + pool) + 9 * (r3 * c3 + r5 * c5)


def not_reduced(c_in, one, r3, c3, r5, c5, pool):
    return c_in * (one + pool + 9 * c3 + 25 * c5)


def with_biases(*row):
    return ch03._weights(*row) + sum(row[1:])


def always_3a(*row):
    return 163_328 * len(row) // 7


WRONG = {
    "q1": [
        (without_bias, "bias is missing"),
        (channels_last, "channels are last"),
        (reshaped, "reshape mixes"),
        (activated, "activation"),
        (averaged, "become [2, 6, 3, 5]"),
        (nothing, "returns nothing"),
    ],
    "q2": [
        (153_600, "reduces them to 16"),
        (12_800, "5x5 alone"),
        (3_072, "reduction alone"),
        (15_920, "biases"),
        (12_443_648, "multiply-adds"),
        (156_672, "16 reduced channels"),
        (1, "channels in x"),
    ],
    "q3": [
        (without_pool, "pool projection"),
        (without_reductions_counted, "two reductions"),
        (nine_for_all, "25 positions"),
        (not_reduced, "reduced channels"),
        (with_biases, "biases"),
        (nothing, "returns nothing"),
        (always_3a, "block 5b"),
    ],
    "q4": [("5x5", "narrow"), ("1x1", "cheapest"), ("pool", "cheapest"), ("all", "choose")],
    "q5": [("negate", "minimum"), ("mean", "maxima"), ("difference", "negatively"), (2, "choose")],
}
