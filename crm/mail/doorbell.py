"""Ringing the worker that delivers mail."""

from crm.doorbells import Doorbell

_bell = Doorbell("crm.tasks.deliver_mail", mark="mail")
ring = _bell.ring
ring_again = _bell.ring_again
answered = _bell.answered
