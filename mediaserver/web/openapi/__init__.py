"""The OpenAPI document: what every route takes and gives, made from what reads and checks it."""
