import { registry } from "@web/core/registry";

// Each tour starts from the personal link of an approver without an account, made by the Python test.

registry.category("web_tour.tours").add("milestone_portal_review", {
    steps: () => [
        {
            content: "see what is to be approved",
            trigger: "#milestone_deliverables:contains(Screens)",
        },
        {
            content: "see the amount with taxes",
            trigger: "#milestone_amounts:contains(11,500.00)",
        },
        {
            content: "open the signature",
            trigger: ".o_portal_sidebar_content [data-bs-target='#modal_milestone_approve']",
            run: "click",
        },
        {
            content: "read what is agreed to",
            trigger: ".modal.show #milestone_consent:contains(round 1):contains(11,500.00)",
        },
        {
            content: "nothing can be sent without a name",
            trigger: ".modal.show .o_web_sign_name_and_signature input",
            run: "clear",
        },
        {
            trigger: ".modal.show .o_portal_sign_submit:disabled",
        },
        {
            content: "type the name",
            trigger: ".modal.show .o_web_sign_name_and_signature input",
            run: "fill Ada Approver",
        },
        {
            content: "the typed name is drawn as a signature",
            trigger: ".modal.show canvas.o_web_sign_signature",
            run: "canvasNotEmpty",
        },
        {
            content: "sign",
            trigger: ".modal.show .o_portal_sign_submit:enabled",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "see the approval",
            trigger: "#milestone_content .alert-success:contains(Your approval is recorded)",
        },
        {
            trigger: "#milestone_invoices:contains(Approved by Approver)",
        },
        {
            content: "nothing is left to decide",
            trigger: ".o_portal_milestone:not(:has([data-bs-target='#modal_milestone_approve']))",
        },
    ],
});

registry.category("web_tour.tours").add("milestone_portal_changes", {
    steps: () => [
        {
            content: "ask for changes",
            trigger: ".o_portal_sidebar_content [data-bs-target='#modal_milestone_changes']",
            run: "click",
        },
        {
            content: "say which",
            trigger: ".modal.show textarea[name=reason]",
            run: "edit Please use the new logo.",
        },
        {
            content: "send",
            trigger: ".modal.show button[type=submit]",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "see that the team was told",
            trigger: "#milestone_review_over:contains(Please use the new logo.)",
        },
    ],
});

registry.category("web_tour.tours").add("milestone_portal_invoice", {
    steps: () => [
        {
            content: "the page waits for the invoice",
            trigger: ".o_milestone_invoice_waiting:contains(Your invoice is being made)",
        },
        {
            content: "it appears without a click",
            trigger: "#milestone_invoice_list .o_milestone_invoice:contains(INV)",
            timeout: 20000,
        },
        {
            content: "and can be paid",
            trigger: "#milestone_invoice_list .o_milestone_pay",
        },
    ],
});
