"""Records that wait for each other."""


def find_cycle(record, name):
    """Return a chain of records, in the order of the work, that begins and ends with ``record``, or None.

    :param str name: the field with the records that come before one
    """
    followers = {}  # next step on the way back to record
    front = record
    while front:
        found = record.browse()
        for step in front:
            for other in step[name]:
                if other == record:
                    chain = [record, step]
                    while chain[-1] != record:
                        chain.append(followers[chain[-1]])
                    return chain
                if other not in followers:
                    followers[other] = step
                    found |= other
        front = found
    return None
