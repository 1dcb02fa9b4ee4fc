"""The logic of the study, in rooms: each imports only those before it.

base, recipes, data, networks, training, evaluation, evidence, reporting.
"""
