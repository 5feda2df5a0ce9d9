"""Ringing the worker that posts events to webhooks."""

from crm.doorbells import Doorbell

_bell = Doorbell("crm.tasks.deliver_webhooks", mark="webhooks")
ring = _bell.ring
answered = _bell.answered
