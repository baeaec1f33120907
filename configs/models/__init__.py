"""Parameters of each model, a file a model.

A file says `KEYS`, the declarations of its parameters, where a later one takes
the place of an earlier one of the same path; `PARSERS` and
`EVAL_TYPES`, the values of `architecture.parser` and `eval.type` that fit, the
first by default; and `RESTRICTIONS`, functions of the whole params that return
None or what is wrong. `IS_DEFAULT` is true in the one that a config without a
`type` means.
"""
