MAX_ID_DIGITS = 10


def read_id(value):
    """Return the number of a record that a visitor sent, or 0: it may be of any type and of any length."""
    text = str(value or "")
    return int(text) if len(text) <= MAX_ID_DIGITS and text.isascii() and text.isdecimal() else 0


def read_token(value):
    """Return a token that a visitor sent, or None for what is none: it may be of any type and in any script.

    Odoo compares tokens in constant time, which it can do with plain texts only.
    """
    return value if isinstance(value, str) and value.isascii() else None


def read_credentials(params):
    """Return the parameters of a request without credentials that are none."""
    readers = {"access_token": read_token, "token": read_token, "hash": read_token, "pid": read_pid}
    return {name: readers[name](value) if name in readers else value for name, value in params.items()}


def read_pid(value):
    return value if read_id(value) else None
