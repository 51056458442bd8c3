"""The gateway's description of itself, OpenAPI 3.1; tests hold it against the code.

schemas      bodies and answers, as types
responses    the answers of each kind of route: problems by status, from the table of problems
pieces       parameters, headers and bodies that several routes share
operations   every route
document     all of it in one document
"""
