"""Wrong answers to notebook 07."""

from inception_course.lessons.exercises import ch07


def at_the_origin(square, size):
    left, top, right, bottom = square
    return ch07._five_boxes((0, 0, right - left, bottom - top), size)


def corners_only(square, size):
    return ch07._five_boxes(square, size)[:4]


def with_the_whole(square, size):
    return [*corners_only(square, size), square]


def off_the_edge(square, size):
    left, top, right, bottom = square
    starts = [(left, top), (right, top), (left, bottom), (right, bottom), (left + 16, top + 16)]
    return [(x, y, x + size, y + size) for x, y in starts]


def for_this_square_alone(square, size):
    return ch07._five_boxes((64, 0, 320, 256), 224)


def no_boxes(square, size):
    forgotten = ch07._five_boxes(square, size)  # noqa: F841 - computed, and not returned


def mean_logits(logits):
    return logits.mean(dim=0).argmax(dim=1)


def highest(logits):
    return logits.softmax(dim=2).amax(dim=0).argmax(dim=1)


def vote(logits):
    return logits.argmax(dim=2).mode(dim=0).values


def over_views(logits):
    return logits.softmax(dim=0).mean(dim=0).argmax(dim=1)


def first(logits):
    return logits[0].argmax(dim=1)


def probabilities(logits):
    return logits.softmax(dim=2).mean(dim=0)


def sureness(logits):
    return logits.softmax(dim=2).mean(dim=0).amax(dim=1)


def no_answer(logits):
    forgotten = ch07._answer(logits)  # noqa: F841 - computed, and not returned


WRONG = {
    "q1": [
        (144, "every view"),
        (24, "mirror image"),
        (40, "whole square"),
        (36, "divide by three"),
        (12, "which factor"),
    ],
    "q2": [
        (at_the_origin, "starts at 0"),
        (corners_only, "centre is missing"),
        (with_the_whole, "224 pixels wide"),
        (off_the_edge, "out of the square"),
        (for_this_square_alone, "wrong for another"),
        (no_boxes, "returns nothing"),
    ],
    "q3": [
        (mean_logits, "average logits"),
        (highest, "maximum over the views"),
        (vote, "forgets how sure"),
        (over_views, "not over the views"),
        (first, "first view alone"),
        (probabilities, "shape [4, 3]"),
        (sureness, "argmax"),
        (no_answer, "returns nothing"),
    ],
    "q4": [
        (4, "one network"),
        (100_800, "in seconds"),
        (1680, "in minutes"),
        (0.0278, "one view"),
        (1, "images x networks x views"),
    ],
    "q5": [
        ("too much", "what does it promise"),
        ("as much as it should", "on the line"),
        ("unsure", "choose one"),
    ],
}
