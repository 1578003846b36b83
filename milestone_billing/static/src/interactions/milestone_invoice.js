import { rpc } from "@web/core/network/rpc";
import { registry } from "@web/core/registry";
import { Interaction } from "@web/public/interaction";

const PAUSE = 2000;
const MAX_POLLS = 30;

/**
 * After an approval the invoice is made by a queue, usually within seconds: ask for it, and show it.
 */
export class MilestoneInvoice extends Interaction {
    static selector = ".o_milestone_invoice_waiting";

    setup() {
        this.polls = 0;
    }

    start() {
        this.pollLater();
    }

    pollLater() {
        this.waitForTimeout(() => this.poll(), PAUSE);
    }

    async poll() {
        this.polls += 1;
        let answer = { waiting: true };
        try {
            answer = await this.waitFor(rpc(this.el.dataset.url, this.getParams(), { silent: true }));
        } catch {
            // a server that restarts, a phone in a tunnel: try again
        }
        if (!answer.waiting && answer.html) {
            this.show(answer.html);
        } else if (this.polls < MAX_POLLS) {
            this.pollLater();
        } else {
            this.giveUp();
        }
    }

    getParams() {
        return Object.fromEntries(new URL(this.el.dataset.url, window.location).searchParams);
    }

    show(html) {
        const content = new DOMParser().parseFromString(html, "text/html").body;
        this.el.closest("section").replaceWith(...content.childNodes);
    }

    giveUp() {
        this.el.querySelector(".o_milestone_spinner").classList.add("d-none");
        this.el.querySelector(".o_milestone_invoice_soon").classList.add("d-none");
        this.el.querySelector(".o_milestone_invoice_later").classList.remove("d-none");
    }
}

registry.category("public.interactions").add("milestone_billing.milestone_invoice", MilestoneInvoice);
