from urllib.parse import parse_qsl, urlencode, urlsplit

from odoo.addons.portal.controllers.mail import MailController

from .credentials import read_token


class ProposalLink(MailController):
    """The link in the mail of a quotation leads to its page and says which revision the mail was about."""

    @classmethod
    def _redirect_to_record(cls, model, res_id, access_token=None, **kwargs):
        access_token = read_token(access_token)
        response = super()._redirect_to_record(model, res_id, access_token=access_token, **kwargs)
        revision = str(kwargs.get("revision") or "")
        location = urlsplit(response.headers.get("Location") or "")
        if model == "sale.order" and revision.isdecimal() and location.path.startswith("/my/orders/"):
            query = [*parse_qsl(location.query), ("revision", revision)]
            response.headers["Location"] = location._replace(query=urlencode(query)).geturl()
        return response
