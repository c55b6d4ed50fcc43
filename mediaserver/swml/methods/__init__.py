"""The methods a step can name: one module each, which is little more than its parameter table.

`registry` lists them, and the methods of the contract that are not supported yet; `method` checks
parameters against a table, `kinds` are the types that tables are made of.
"""
