import { inputFiles } from "@web/../tests/utils";
import { registry } from "@web/core/registry";

function planMilestone(position, name, amount) {
    const row = `.o_field_widget[name='milestone_ids'] .o_data_row:nth-child(${position}).o_selected_row`;
    return [
        {
            content: `Add ${name}`,
            trigger: ".o_field_widget[name='milestone_ids'] .o_field_x2many_list_row_add a:contains('Add a milestone')",
            run: "click",
        },
        {
            content: "Name the outcome",
            trigger: `${row} .o_field_widget[name='name'] input`,
            run: `edit ${name}`,
        },
        {
            content: "Say what it costs",
            trigger: `${row} .o_field_widget[name='amount_untaxed'] input`,
            run: `edit ${amount}`,
        },
    ];
}

function chooseContact(field, name) {
    return [
        {
            content: `Look for ${name}`,
            trigger: `.o_field_widget[name='${field}'] input`,
            run: `edit ${name}`,
        },
        {
            content: `Choose ${name}`,
            trigger: `.o-autocomplete--dropdown-item > a:contains('${name}')`,
            run: "click",
        },
    ];
}

function expectState(label) {
    return {
        content: `The milestone is: ${label}`,
        trigger: `.o_statusbar_status .o_arrow_button_current:contains('${label}')`,
    };
}

registry.category("web_tour.tours").add("milestone_plan_to_invoice", {
    steps: () => [
        ...chooseContact("partner_id", "Tour Client"),
        {
            content: "Go to the plan",
            trigger: ".o_notebook .nav-link[name='milestones']",
            run: "click",
        },
        ...planMilestone(1, "Design", "1000"),
        ...planMilestone(2, "Build", "2500.50"),
        ...planMilestone(3, "Launch", "499.50"),
        {
            content: "Save the quotation",
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "The plan has its totals",
            trigger: ".o_field_widget[name='milestone_planned_amount']:contains('4,000.00')",
        },
        {
            content: "Write down what the client accepts",
            trigger: ".o_data_row:contains('Design') button[name='action_open_plan']",
            run: "click",
        },
        {
            content: "Add a deliverable",
            trigger: ".modal .o_field_x2many_list_row_add a:contains('Add a deliverable')",
            run: "click",
        },
        {
            content: "Name it",
            trigger: ".modal:contains('Create Deliverables') .o_field_widget[name='name'] input",
            run: "edit Wireframes",
        },
        {
            content: "Say when it is good",
            trigger: ".modal:contains('Create Deliverables') .o_field_widget[name='acceptance_criteria'] textarea",
            run: "edit All pages",
        },
        {
            content: "Keep the deliverable",
            trigger: ".modal:contains('Create Deliverables') .o_form_button_save",
            run: "click",
        },
        {
            content: "Keep the milestone",
            trigger: ".modal:contains('Wireframes'):not(:contains('Create Deliverables')) .o_form_button_save",
            run: "click",
        },
        {
            content: "Confirm the order",
            trigger: "body:not(:has(.modal)) .o_statusbar_buttons button[name='action_confirm']:enabled",
            run: "click",
        },
        {
            content: "It is an order",
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Sales Order')",
        },
        {
            content: "Open the first milestone",
            trigger: ".o_data_row:contains('Design') button[name='get_formview_action']",
            run: "click",
        },
        expectState("Planned"),
        {
            content: "Begin the work",
            trigger: ".o_statusbar_buttons button[name='action_start']",
            run: "click",
        },
        expectState("In Progress"),
        {
            content: "Open the deliverable",
            trigger: ".o_field_widget[name='deliverable_ids'] .o_data_cell:contains('Wireframes')",
            run: "click",
        },
        {
            content: "Link the work",
            trigger: ".modal .o_field_widget[name='url'] input",
            run: "edit https://example.com/wireframes",
        },
        {
            content: "Keep the link",
            trigger: ".modal .o_form_button_save",
            run: "click",
        },
        {
            content: "Present it to the client",
            trigger: "body:not(:has(.modal)) .o_statusbar_buttons button[name='action_submit']",
            run: "click",
        },
        expectState("With the Client"),
        {
            content: "The client said yes on the phone and sent a mail",
            trigger: ".o_statusbar_buttons button[name='action_approve_on_behalf']",
            run: "click",
        },
        ...chooseContact("partner_id", "Tour Client"),
        {
            content: "Say how",
            trigger: ".modal .o_field_widget[name='comment'] textarea",
            run: "edit By e-mail",
        },
        {
            content: "Attach the proof",
            trigger: ".modal .o_field_widget[name='proof_ids']",
            async run() {
                await inputFiles(".modal .o_field_widget[name='proof_ids'] .o_input_file", [
                    new File(["We approve the design."], "mail.txt", { type: "text/plain" }),
                ]);
            },
        },
        {
            content: "The proof is there",
            trigger: ".modal .o_field_widget[name='proof_ids']:contains('mail.txt')",
        },
        {
            content: "Record the approval",
            trigger: ".modal button[name='action_confirm']",
            run: "click",
        },
        expectState("Approved"),
        {
            content: "It is marked as recorded on behalf of the client",
            trigger: ".alert:contains('Approved on behalf of the client')",
        },
        {
            content: "It waits for its invoice",
            trigger: ".o_field_widget[name='billing_state']:contains('To Invoice')",
        },
        {
            content: "Invoice it",
            trigger: ".o_statusbar_buttons button[name='action_create_invoices']",
            run: "click",
        },
        {
            content: "The invoice leads back to the milestone",
            trigger: ".oe_stat_button[name='action_view_billing_milestones']",
            run: "click",
        },
        {
            content: "The milestone follows its invoice",
            trigger: ".o_field_widget[name='billing_state']:contains('Draft Invoice')",
        },
    ],
});
