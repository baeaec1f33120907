"""Parameters of each model, a file a model.

A file says `KEYS`, the declarations of its parameters; `PARSERS`, the names of
the input parsers that fit, the first by default; `EVAL_TYPES`, what can be
evaluated; `RESTRICTIONS`, functions of the whole params that return None or
what is wrong; and `IS_DEFAULT` in the one that is meant by a config without a
`type`.
"""
