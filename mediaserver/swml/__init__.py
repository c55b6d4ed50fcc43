"""Call scripts in SWML: reading them, checking them, stepping through them; no I/O.

`document` reads YAML or JSON (through `tree`) and checks every step against `methods`, where each
method is a table of parameters. `interpreter` goes through `main` and returns one of `actions` at
a time; `expression` fills in `${...}`. Whatever a script contains, the only error is
`ScriptError`, with the contract's code and the JSON path of the place.
"""
