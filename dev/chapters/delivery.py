"""From the kickoff to the approval: tasks, team, meeting, delivery, and what the client decides."""

from odoo import fields

from dev.chapters.words import check_unbroken, draw_signature, money, say, tell_fact


def kick_off(env, order):
    """The delivery begins: what came with the confirmation, a meeting of both sides among it."""
    from odoo.tests import Form

    project = env["project.project"].browse(order.project_id.id)
    say(f"Project {project.name} is made, and the delivery begins.")
    first = env["sale.milestone"].browse(order.milestone_ids[0].id)
    tasks = ", ".join(first.deliverable_ids.task_id.mapped("name"))
    tell_fact(f"Tasks of {first.name}: {tasks}; the others are a plan.")
    tell_fact(f"Team: {', '.join(order.milestone_contact_ids.mapped('display_name'))}; the client gets a welcome.")
    tell_fact(f"Invoiceable now: {money(sum(order.order_line.mapped('untaxed_amount_to_invoice')), order).strip()}")
    project.user_id = env.user
    action = project.action_plan_kickoff()
    meeting = env[action["res_model"]].browse(action["res_id"])
    if not meeting or order.sudo()._get_kickoff() != meeting:
        raise AssertionError("The confirmation proposed no kickoff.")
    with Form(meeting.with_context(mail_notify_force_send=False)) as form:
        form.location = "Harbour Logistics, room 2"
    begin = fields.Datetime.context_timestamp(meeting, meeting.start)
    guests = ", ".join(meeting.partner_ids.mapped("name"))
    say(f"The kickoff is proposed to both sides, in an hour that is free for all: {begin:%Y-%m-%d %H:%M}, {guests}.")
    tell_fact(
        f"{env.user.name} leads the project from now on, is invited too, and adds where it is: {meeting.location}."
    )


def present(env, milestone):
    """Do the work, link it and submit it for approval."""
    milestone = env["sale.milestone"].browse(milestone.id)
    milestone.action_start()
    milestone.deliverable_ids.url = f"https://example.com/{milestone.name.lower()}"
    milestone.action_submit()
    return milestone


def deliver(env, milestone):
    milestone = present(env, milestone)
    say(f"{env.user.name} delivers {milestone.name} and submits it, round {milestone.approval_round}.")
    asked = milestone.approval_id.recipient_ids.partner_id
    tell_fact(f"A personal link goes to {asked.email}; the answer is due on {milestone.review_due_date}.")
    return milestone


def approve(subject, client_user):
    """The client approves a milestone or a change: what the portal's page sends."""
    subject = subject.with_env(subject.env(user=client_user, su=True))
    approval = subject._approve(
        {
            "partner": client_user.partner_id,
            "method": "portal",
            "snapshot_hash": subject.approval_id.snapshot_hash,
            "signed_by": client_user.name,
            "signature": draw_signature(),
            "consent": subject._get_consent(),
            "ip_address": "127.0.0.1",
        }
    )
    subject.env.cr.commit()  # the approval is the client's act: it stands before anything follows from it
    if subject.state != "approved":
        raise AssertionError(f"{subject.display_name} is not approved.")
    say(f"{client_user.name} approves with a signature: “{approval.consent}”")
    tell_fact(f"Snapshot {approval.snapshot_hash[:16]}…, chain {approval.chain_hash[:16]}…")
    check_unbroken(subject._verify_evidence())
    tell_fact("Evidence: unbroken")


def begin_next(env, order):
    env["sale.milestone"]._cron_create_next_tasks()
    following = env["sale.order"].browse(order.id).milestone_ids[1]
    if not following.deliverable_ids.task_id:
        raise AssertionError(f"{following.name} has no tasks.")
    due = following.deliverable_ids.task_id[-1:].date_deadline
    say(f"{following.name} comes next: its tasks are made, the last one is due on {due:%Y-%m-%d}.")
