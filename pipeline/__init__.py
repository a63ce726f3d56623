"""The implementation behind `zenfront`: search, training, record, evaluation, tracking and the command line."""
