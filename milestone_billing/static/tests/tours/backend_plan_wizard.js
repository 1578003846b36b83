import { registry } from "@web/core/registry";

const MODAL = ".modal:contains('Plan Milestones')";

registry.category("web_tour.tours").add("milestone_plan_wizard", {
    steps: () => [
        {
            content: "Go to the milestones",
            trigger: ".o_notebook .nav-link[name='milestones']",
            run: "click",
        },
        {
            content: "Plan them",
            trigger: "button[name='action_plan_milestones']",
            run: "click",
        },
        {
            content: "Look for a template",
            trigger: `${MODAL} .o_field_widget[name='template_id'] input`,
            run: "edit Tour",
        },
        {
            content: "Choose it",
            trigger: ".o-autocomplete--dropdown-item > a:contains('Tour Template')",
            run: "click",
        },
        {
            content: "The amounts are there at once",
            trigger: `${MODAL} .o_data_row:contains('Launch'):contains('350.00'):contains('402.50')`,
        },
        {
            content: "Change a share",
            trigger: `${MODAL} .o_data_row:contains('Launch') td[name='percentage']`,
            run: "click",
        },
        {
            content: "Less at the end",
            trigger: `${MODAL} .o_selected_row .o_field_widget[name='percentage'] input`,
            run: "edit 30",
        },
        {
            content: "Something is missing",
            trigger: `${MODAL} .o_data_row:contains('Design') td[name='percentage']`,
            run: "click",
        },
        {
            content: "The dialog says what",
            trigger: `${MODAL}:not(:has(button[name='action_apply'])) .alert:contains('5 % of the price is not planned yet')`,
        },
        {
            content: "More at the beginning",
            trigger: `${MODAL} .o_selected_row .o_field_widget[name='percentage'] input`,
            run: "edit 30",
        },
        {
            content: "See the whole lines",
            trigger: `${MODAL} .nav-link[name='sources']`,
            run: "click",
        },
        {
            content: "The hardware belongs to a milestone",
            trigger: `${MODAL} .o_data_row:contains('Hardware') td[name='milestone_number']`,
            run: "click",
        },
        {
            content: "It is the second one",
            trigger: `${MODAL} .o_selected_row .o_field_widget[name='milestone_number'] input`,
            run: "edit 2",
        },
        {
            content: "Apply the plan",
            trigger: `${MODAL} button[name='action_apply']`,
            run: "click",
        },
        {
            content: "The quotation is planned",
            trigger: "body:not(:has(.modal)) .o_field_widget[name='milestone_ids'] .o_data_row:contains('Build'):contains('900.00')",
        },
        {
            content: "Open the plan again",
            trigger: "button[name='action_plan_milestones']",
            run: "click",
        },
        {
            content: "Undo it",
            trigger: `${MODAL} button[name='action_undo']`,
            run: "click",
        },
        {
            content: "Really",
            trigger: ".modal:not(:contains('Plan Milestones')) .modal-footer .btn-primary",
            run: "click",
        },
        {
            content: "It is the quotation of before",
            trigger: "body:not(:has(.modal)):not(:has(.o_field_widget[name='milestone_ids'] .o_data_row)) .o_field_widget[name='milestone_ids']",
        },
    ],
});
