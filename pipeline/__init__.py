"""The rooms behind the face `zenfront`: search, training, record, evidence, tracking and the command line."""
