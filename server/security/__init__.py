"""Who may call the gateway, how often, from which pages, and what every answer's headers say.

key_file        the file of API keys: its form, how it is read and written
key_ring        the keys in force: looked up for each request, read again when the file changes
rates           token buckets, one for each key, shared by all worker processes
guard           the check of a request by its head alone
cors            which other origins' pages may call
answer_headers  the headers that keep browsers from being used against the caller
hooks           all of it in the Flask application
"""
