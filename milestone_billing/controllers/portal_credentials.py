from odoo import http

from odoo.addons.portal.controllers.message_reaction import PortalMessageReactionController
from odoo.addons.portal.controllers.portal import CustomerPortal
from odoo.addons.portal.controllers.portal_thread import PortalChatter
from odoo.addons.portal.controllers.thread import PortalThreadController

from .credentials import read_credentials, read_token


class DocumentCredentials(CustomerPortal):
    """What is no token at all is a wrong token: it opens nothing, and breaks nothing."""

    def _document_check_access(self, model_name, document_id, access_token=None):
        return super()._document_check_access(model_name, document_id, access_token=read_token(access_token))


class DiscussionCredentials(PortalChatter, PortalThreadController):
    """The same for discussions, whose visitors say who they are by a person's number and a hash."""

    @classmethod
    def _get_message_with_access(cls, message_id, mode="read", **kwargs):
        return super()._get_message_with_access(message_id, mode=mode, **read_credentials(kwargs))

    @classmethod
    def _get_thread_with_access(cls, thread_model, thread_id, mode="read", **kwargs):
        return super()._get_thread_with_access(thread_model, thread_id, mode=mode, **read_credentials(kwargs))

    @classmethod
    def _can_edit_message(cls, message, **kwargs):
        return super()._can_edit_message(message, **read_credentials(kwargs))

    def _prepare_message_data(self, post_data, *, thread, **kwargs):
        return super()._prepare_message_data(post_data, thread=thread, **read_credentials(kwargs))

    @http.route()
    def portal_chatter_init(self, thread_model, thread_id, **kwargs):
        return super().portal_chatter_init(thread_model, thread_id, **read_credentials(kwargs))

    @http.route()
    def portal_message_fetch(self, thread_model, thread_id, fetch_params=None, **kw):
        return super().portal_message_fetch(thread_model, thread_id, fetch_params=fetch_params, **read_credentials(kw))


class ReactionCredentials(PortalMessageReactionController):
    def _get_reaction_author(self, message, **kwargs):
        return super()._get_reaction_author(message, **read_credentials(kwargs))
