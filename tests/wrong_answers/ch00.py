"""Wrong answers to notebook 00."""


def unscaled(images, mean, std):
    return (images.float() - mean) / std


def undivided(images, mean, std):
    return images.float() / 255 - mean


def wrong_order(images, mean, std):
    return images.float() / 255 / std - mean


def in_place(images, mean, std):
    images.sub_(1)
    return (images.float() / 255 - mean) / std


def still_bytes(images, mean, std):
    return images


def nothing(*arguments):
    forgotten = len(arguments)  # noqa: F841 - computed, and not returned


WRONG = {
    "q1": [
        (0.1, "knows a shoe"),
        (20, "per cent"),
        (5 / 21, "frequent"),
        (1 / 3, "one group"),
    ],
    "q2": [
        (unscaled, "divide by 255"),
        (undivided, "divide by std"),
        (wrong_order, "order"),
        (in_place, "changed the images"),
        (still_bytes, "floats"),
        (nothing, "returns nothing"),
    ],
    "q3": [(12, "papers print"), (0.115, "inverse"), (54, "difference"), (2, "divide")],
    "q4": [("train", "by heart"), ("test", "too good"), ("all", "choose one of")],
}
