"""The two ways in which Zenfront says no."""


class UserError(Exception):
    """Something that the user can put right: the rule, the value, the place, what to do.

    The command line prints the message alone and ends with exit code 2.
    """


class ScoreUndefined(Exception):
    """A proxy has no finite value on this network; the message is the reason and goes into the ledger."""
