"""The methods a step can name: modules that are little more than their parameter tables.

`registry` lists them, `unsupported` has those that are understood and not carried out; `table` and
`method` check parameters, `kinds` and `addresses` are the types that tables are made of, `branches`
is what steps within a step are read by.
"""
