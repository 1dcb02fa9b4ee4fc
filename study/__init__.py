"""The logic of the study, in rooms: each imports only those before it.

base, recipes, data, networks, engine, training, evaluation, evidence, reporting. The engine is not
used by the others yet.
"""
