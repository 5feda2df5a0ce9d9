"""Names that the language knows and that are not supported yet: the smart fields of leads (close-api.md 3.5)."""

_NAMES = (
    "num_contacts num_emails num_email_addresses num_phone_numbers num_calls num_outgoing_calls "
    "num_incoming_calls num_missed_calls num_sent_emails num_received_emails num_sms num_sent_sms "
    "num_received_sms num_meetings num_completed_meetings num_upcoming_meetings num_canceled_meetings "
    "num_declined_meetings num_notes num_tasks num_completed_tasks num_incomplete_tasks num_opportunities "
    "num_active_opportunities num_won_opportunities num_lost_opportunities num_annual_opportunities "
    "num_monthly_opportunities num_one_time_opportunities num_activities num_addresses num_urls "
    "num_contact_urls times_communicated last_communication_date last_communication_type "
    "last_communication_user_id first_communication_date first_communication_type first_communication_user_id "
    "last_activity_date last_activity_type last_activity_user_id last_call_created last_call_duration "
    "last_call_disposition last_call_note last_call_user_id last_outgoing_call_date last_incoming_call_date "
    "last_email_date last_email_subject last_incoming_email_date last_outgoing_email_date "
    "last_incoming_sms_date last_outgoing_sms_date last_sms_date last_note_date email_last_opened "
    "last_lead_status_change_date last_opportunity_status_change_date next_task_date next_task_text "
    "next_task_user_id primary_opportunity_value primary_opportunity_status primary_opportunity_status_type "
    "primary_opportunity_user_id primary_opportunity_pipeline_id primary_opportunity_confidence "
    "primary_opportunity_date_won primary_opportunity_period primary_email primary_phone primary_contact_name "
    "timezone_id first_source "
)

UNSUPPORTED_LEAD_FIELDS = frozenset(_NAMES.split()) | {
    f"{what}_{period}{state}opportunity_value"
    for what in ("total", "avg", "min", "max")
    for period in ("", "annual_", "monthly_", "one_time_", "annualized_")
    for state in ("", "active_", "won_", "lost_")
}
