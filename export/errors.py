"""What can go wrong on the road to a model, each named for what the caller can do."""


class DataError(Exception):
    """Say what is wrong with a data folder or a recipe, naming the file and the line: mend it."""


class TrainError(Exception):
    """Say in one line why a training or an export cannot go on: start again from something else."""


class UsageError(Exception):
    """Say in one line what is wrong with the arguments."""
