import { registry } from "@web/core/registry";

// Each tour starts from a link without an account, made by the Python test.

registry.category("web_tour.tours").add("milestone_portal_change_approve", {
    steps: () => [
        {
            content: "see what the change means",
            trigger: "#change_request_impact:contains(34,000.00)",
        },
        {
            content: "open the signature",
            trigger: ".o_portal_sidebar_content [data-bs-target='#modal_change_request_approve']",
            run: "click",
        },
        {
            content: "read what is agreed to",
            trigger: ".modal.show #change_request_consent:contains(1,500.00):contains(34,000.00)",
        },
        {
            content: "type the name",
            trigger: ".modal.show .o_web_sign_name_and_signature input",
            run: "edit Ada Approver",
        },
        {
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
            content: "see the change order",
            trigger: "#change_request_content .alert-success:contains(the contract is changed)",
        },
        {
            trigger: "#change_request_acceptance:contains(Change Order 1)",
        },
    ],
});

registry.category("web_tour.tours").add("milestone_portal_change_decline", {
    steps: () => [
        {
            content: "open the dialog",
            trigger: ".o_portal_sidebar_content [data-bs-target='#modal_change_request_reject']",
            run: "click",
        },
        {
            content: "say why",
            trigger: ".modal.show textarea[name='reason']",
            run: "edit Too expensive for us.",
        },
        {
            content: "decline",
            trigger: ".modal.show button[type='submit']",
            run: "click",
            expectUnloadPage: true,
        },
        {
            trigger: "#change_request_review_over:contains(Too expensive for us.)",
        },
    ],
});

registry.category("web_tour.tours").add("milestone_portal_change_raise", {
    steps: () => [
        {
            content: "ask for a change on the page of the order",
            trigger: "#order_request_change",
            run: "click",
            expectUnloadPage: true,
        },
        {
            trigger: "#change_name",
            run: "edit Carla Client",
        },
        {
            trigger: "#change_title",
            run: "edit A darker design",
        },
        {
            trigger: "#change_urgency",
            run: "select urgent",
        },
        {
            trigger: "#change_reason",
            run: "edit Our new colours",
        },
        {
            content: "send",
            trigger: "#change_request_form button[type='submit']",
            run: "click",
            expectUnloadPage: true,
        },
        {
            trigger: "#change_raised",
        },
        {
            trigger: "#open_change_requests:contains(A darker design):contains(Being Estimated)",
        },
    ],
});
