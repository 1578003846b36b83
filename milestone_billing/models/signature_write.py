from .agreed_change import ContextMark

SIGNATURE_FIELDS = ("signature", "countersignature")


class SignatureWrite(ContextMark):
    """What an order does with its own signatures: taken, or void when the quotation changed."""

    KEY = "milestone_signature_write"
