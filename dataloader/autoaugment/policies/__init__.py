"""Policies with a name, one or several a module.

Each module registers what it holds by `policy_registry.register_sub_policies`
or `policy_registry.register_policy`; all modules here are imported.
"""
