"""Typed fields to tensors: one module a kind of feature, and the plan that puts columns into matrices.

Pure: knows neither the model's engine nor where events come from.
"""
