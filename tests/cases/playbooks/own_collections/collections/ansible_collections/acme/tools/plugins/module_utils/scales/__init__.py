from .kitchen import GRAMS


def weigh(name):
    return len(name) * GRAMS
