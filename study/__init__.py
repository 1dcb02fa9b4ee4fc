"""The logic of the study, in packages: each imports only those before it.

base, recipes, data, networks, engine, training, evaluation, evidence, reporting, page.
"""
